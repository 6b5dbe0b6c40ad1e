/**
 * Facts about operators that shared code asks for instead of knowing operators by name: does it
 * give the same result each time, does it belong to quantization, is it applied element by element.
 * One row per operator that is not ordinary; nothing here looks at a graph beyond the node.
 * Source: the ONNX operator specification and ONNX Runtime's contrib operator list.
 */
import type { Model } from '../graph/model.js';
import type { Node } from '../graph/node.js';

export interface OperatorTraits {
  /** Draws random numbers: two runs, or two equal nodes, may differ. */
  readonly random?: boolean;
  /** Random when the node is set up so, such as Dropout in training mode. */
  readonly randomIf?: (node: Node) => boolean;
  /** Writes or reads numbers in quantized form: runtimes recognize these nodes by their place. */
  readonly quantization?: boolean;
  /** Stores a tensor in a narrower type and widens it again: what it makes is not worth storing. */
  readonly widens?: boolean;
  /** Each output element depends on the elements at its own place only, with broadcasting. */
  readonly elementwise?: 'unary' | 'binary' | 'variadic';
  /** The output is the sum of the inputs. */
  readonly sum?: boolean;
  /** The shape of the output depends on the numbers, but never exceeds rank times the input. */
  readonly shrinks?: boolean;
}

const random: OperatorTraits = Object.freeze({ random: true });
const quantization: OperatorTraits = Object.freeze({ quantization: true });
const unary: OperatorTraits = Object.freeze({ elementwise: 'unary' });
const binary: OperatorTraits = Object.freeze({ elementwise: 'binary' });
const variadic: OperatorTraits = Object.freeze({ elementwise: 'variadic' });
const shrinks: OperatorTraits = Object.freeze({ shrinks: true });
const dropout: OperatorTraits = Object.freeze({ randomIf: trainingDropout });

const ordinary: OperatorTraits = Object.freeze({});

const table: Readonly<Record<string, OperatorTraits>> = Object.freeze({
  RandomNormal: random,
  RandomNormalLike: random,
  RandomUniform: random,
  RandomUniformLike: random,
  Multinomial: random,
  Bernoulli: random,
  'com.microsoft:Sampling': random,
  'com.microsoft:BiasDropout': random,
  'com.microsoft:BitmaskDropout': random,
  'com.microsoft:BitmaskBiasDropout': random,
  Dropout: dropout,

  QuantizeLinear: quantization,
  DequantizeLinear: quantization,
  DynamicQuantizeLinear: quantization,
  'com.microsoft:QuantizeLinear': quantization,
  'com.microsoft:DequantizeLinear': quantization,
  'com.microsoft:DynamicQuantizeLinear': quantization,
  'com.microsoft:QuantizeBFP': quantization,
  'com.microsoft:DequantizeBFP': quantization,
  'com.microsoft:QuantizeWithOrder': quantization,
  'com.microsoft:DequantizeWithOrder': quantization,
  'com.microsoft:GatherBlockQuantized': quantization,

  Cast: Object.freeze({ elementwise: 'unary', widens: true }),
  CastLike: Object.freeze({ elementwise: 'unary', widens: true }),

  NonZero: shrinks,
  Compress: shrinks,
  Unique: shrinks,

  Abs: unary,
  Acos: unary,
  Acosh: unary,
  Asin: unary,
  Asinh: unary,
  Atan: unary,
  Atanh: unary,
  BitwiseNot: unary,
  Ceil: unary,
  Celu: unary,
  Clip: unary,
  Cos: unary,
  Cosh: unary,
  Elu: unary,
  Erf: unary,
  Exp: unary,
  Floor: unary,
  Gelu: unary,
  HardSigmoid: unary,
  HardSwish: unary,
  Identity: unary,
  IsInf: unary,
  IsNaN: unary,
  LeakyRelu: unary,
  Log: unary,
  Mish: unary,
  Neg: unary,
  Not: unary,
  Reciprocal: unary,
  Relu: unary,
  Round: unary,
  Selu: unary,
  Shrink: unary,
  Sigmoid: unary,
  Sign: unary,
  Sin: unary,
  Sinh: unary,
  Softplus: unary,
  Softsign: unary,
  Sqrt: unary,
  Swish: unary,
  Tan: unary,
  Tanh: unary,
  ThresholdedRelu: unary,
  'com.microsoft:FastGelu': unary,
  'com.microsoft:Gelu': unary,
  'com.microsoft:QuickGelu': unary,

  Add: Object.freeze({ elementwise: 'binary', sum: true }),
  And: binary,
  BitShift: binary,
  BitwiseAnd: binary,
  BitwiseOr: binary,
  BitwiseXor: binary,
  Div: binary,
  Equal: binary,
  Greater: binary,
  GreaterOrEqual: binary,
  Less: binary,
  LessOrEqual: binary,
  Mod: binary,
  Mul: binary,
  Or: binary,
  PRelu: binary,
  Pow: binary,
  Sub: binary,
  Xor: binary,

  Max: variadic,
  Mean: variadic,
  Min: variadic,
  Sum: Object.freeze({ elementwise: 'variadic', sum: true }),
  Where: variadic,
});

/** What is known of an operator ('Conv', 'com.microsoft:Gelu'); an empty object: nothing special. */
export function traitsOf(op: string): OperatorTraits {
  return Object.hasOwn(table, op) ? table[op]! : ordinary;
}

/** Domains whose operators compute outputs from inputs and do nothing else. */
const pureDomains: ReadonlySet<string> = new Set([
  '',
  'ai.onnx.ml',
  'ai.onnx.preview.training',
  'com.microsoft',
  'com.microsoft.nchwc',
  'com.ms.internal.nhwc',
]);

/**
 * True when removing the node changes nothing but its outputs; subgraphs and functions are looked
 * into. An operator of an unknown domain may print, count or keep a state.
 */
export function isPure(node: Node): boolean {
  return everyPart(node, (part) => pureDomains.has(part.domain));
}

/**
 * True when the node gives the same outputs for the same inputs in every run; subgraphs and
 * functions are looked into.
 */
export function isDeterministic(node: Node): boolean {
  return everyPart(node, (part) => {
    const traits = traitsOf(part.op);
    return pureDomains.has(part.domain) && !traits.random && !traits.randomIf?.(part);
  });
}

/** Functions may not call themselves, but a file may say so: such a node has no answer. */
const maxDepth = 64;

/** Whether the test holds for the node, or for all nodes of the function that it calls. */
function everyPart(node: Node, test: (part: Node) => boolean, depth = 0): boolean {
  if (depth > maxDepth) return false;
  const body = functionBody(node);
  if (!body && !test(node)) return false;
  const parts = body ?? node.subgraphs.flatMap((graph) => [...graph.nodes]);
  return parts.every((part) => everyPart(part, test, depth + 1));
}

/** The nodes of the model function that the node calls, when it calls one. */
function functionBody(node: Node): Node[] | undefined {
  const model: Model | undefined = node.graph?.model;
  const called = model?.functions.find(
    (fn) => fn.domain === node.domain && fn.name === node.opType && fn.overload === node.overload,
  );
  return called && [...called.body.nodes];
}

/** Since opset 12 an input switches Dropout to training; before 7 an attribute did. */
function trainingDropout(node: Node): boolean {
  const opset = node.graph?.opset(node.domain) ?? Number.POSITIVE_INFINITY;
  if (opset < 7) return node.int('is_test', 0) === 0;
  return node.inputs[2] !== undefined;
}
