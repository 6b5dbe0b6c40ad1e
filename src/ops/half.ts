/**
 * Which operators may compute in float16: those whose type constraints in the ONNX specification
 * (opset 13 to 22) allow it for every float input and output. Inputs that must stay float are
 * named; attributes that state an output type are too.
 */

export interface HalfSupport {
  /** Inputs that the specification types as float whatever the others are. */
  readonly floatInputs?: readonly number[];
  /** Attribute that holds the code of the output's type. */
  readonly typeAttribute?: string;
  /** Attribute whose tensor gives the output's type. */
  readonly tensorAttribute?: string;
}

/**
 * Operators on the border between float and integers. Runtimes join them with the float nodes
 * next to them into integer kernels, which a cast in between would prevent.
 */
export const integerBorders: ReadonlySet<string> = new Set([
  'QuantizeLinear',
  'DequantizeLinear',
  'DynamicQuantizeLinear',
  'MatMulInteger',
  'ConvInteger',
  'com.microsoft:QuantizeLinear',
  'com.microsoft:DequantizeLinear',
]);

/** Operators that bring the int32 sums of an integer product back to float, in a chain. */
export const rescalers: ReadonlySet<string> = new Set(['Cast', 'Mul']);

const plain: HalfSupport = Object.freeze({});

const plainOperators = [
  // arithmetic and functions
  'Abs Acos Acosh Add Asin Asinh Atan Atanh Ceil Celu Clip Cos Cosh Div Elu Erf Exp Floor Gelu',
  'HardSigmoid HardSwish LeakyRelu Log Max Mean Min Mish Mod Mul Neg PRelu Pow Reciprocal Relu',
  'Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Sub Sum Tan Tanh ThresholdedRelu',
  // comparisons and choices
  'Equal Greater GreaterOrEqual Less LessOrEqual IsInf IsNaN Where',
  // layers
  'AveragePool BatchNormalization Conv ConvTranspose Dropout Gemm GlobalAveragePool',
  'GlobalLpPool GlobalMaxPool GroupNormalization GRU InstanceNormalization LayerNormalization',
  'LogSoftmax LpNormalization LpPool LRN LSTM MatMul MaxPool MeanVarianceNormalization',
  'RMSNormalization RNN Softmax Hardmax Einsum Attention RotaryEmbedding',
  // reductions
  'ArgMax ArgMin CumSum ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean',
  'ReduceMin ReduceProd ReduceSum ReduceSumSquare TopK',
  // movement
  'Compress Concat DepthToSpace Expand Flatten Gather GatherElements GatherND Identity NonZero Pad',
  'Reshape ReverseSequence ScatterElements ScatterND Shape Size Slice SpaceToDepth Split Squeeze',
  'Tile Transpose Trilu Unique Unsqueeze GridSample',
]
  .join(' ')
  .split(' ');

/** By operator; one that is not listed stays float32 and is reported. */
export const halfSupport: Readonly<Record<string, HalfSupport>> = Object.freeze({
  ...Object.fromEntries(plainOperators.map((op) => [op, plain])),
  // The scales are input 1 in opset 10; later that is the region, whose type is free.
  Resize: { floatInputs: [1, 2] },
  Cast: { typeAttribute: 'to' },
  EyeLike: { typeAttribute: 'dtype' },
  RandomNormal: { typeAttribute: 'dtype' },
  RandomNormalLike: { typeAttribute: 'dtype' },
  RandomUniform: { typeAttribute: 'dtype' },
  RandomUniformLike: { typeAttribute: 'dtype' },
  ConstantOfShape: { tensorAttribute: 'value' },
  Constant: { tensorAttribute: 'value' },
});
