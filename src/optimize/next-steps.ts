/**
 * Which commands are worth trying next on a model, from what its inspection found. Words only:
 * whether they pay is for measurement to tell.
 */
import type { Inspection } from '../measure/inspect.js';
import type { QuantizedForm } from '../ops/quantized-form.js';
import { recipeKey } from './metadata-keys.js';
import type { SchemeOutlook } from './outlook.js';

export interface NextStep {
  /** Ready for a shell; words in capitals are the reader's to fill in. */
  readonly command: string;
  readonly why: string;
}

const steps = 3;
/** Less than this share off the size is not worth a line. */
const worthSaving = 0.05;
const closeEnough = 1.1;

/** At most three, the best first. */
export function nextSteps(facts: Omit<Inspection, 'next'>): NextStep[] {
  const candidates = [
    ...verifySteps(facts),
    ...(isQuantized(facts) ? quantizedSteps(facts) : floatSteps(facts)),
    ...(isQuantized(facts) ? [] : pruneSteps(facts)),
    ...simplifySteps(facts),
    {
      command: `pare bench ${fileOf(facts)} --threads 1`,
      why: 'latency and peak memory of the model as it is',
    },
  ];
  return candidates.slice(0, steps);
}

/** Weights that are merely stored smaller can still be made faster. */
const computedForms: readonly QuantizedForm[] = ['qdq', 'qoperator', 'dynamic', 'n-bits'];

function isQuantized({ quantization }: Pick<Inspection, 'quantization'>): boolean {
  return quantization.forms.some((form) => computedForms.includes(form));
}

function verifySteps(facts: Omit<Inspection, 'next'>): NextStep[] {
  // Masks and cuts are noted in the metadata too, and have no receipt.
  if (!Object.hasOwn(facts.provenance, recipeKey)) return [];
  return [
    {
      command: `pare verify ${fileOf(facts)}`,
      why: 'it was made by pare: the receipt beside it can be checked again',
    },
  ];
}

function quantizedSteps(facts: Omit<Inspection, 'next'>): NextStep[] {
  const file = fileOf(facts);
  return [
    {
      command: `pare diff ORIGINAL.onnx ${file} --data PATH${preprocess(facts)}`,
      why: 'it is quantized already: start from the float model, and compare the two',
    },
    {
      command: `pare bench ORIGINAL.onnx ${file}`,
      why: 'a quantized model is not faster on every runtime',
    },
  ];
}

function floatSteps(facts: Omit<Inspection, 'next'>): NextStep[] {
  const file = fileOf(facts);
  const best = (facts.schemes ?? [])
    .filter(({ changed }) => changed > 0)
    .sort((a, b) => b.changed - a.changed);
  const dynamic = best.find(({ scheme }) => scheme === 'dynamic');
  const list: NextStep[] = [];
  if (facts.parameters > 0) {
    list.push({
      command: `pare optimize ${file} --data PATH${preprocess(facts)} --target node --max-drop 0.5% -o ${outputOf(facts, 'opt')}`,
      why: dynamic
        ? `tries all schemes and measures: ${dynamic.changed === 1 ? '1 node has' : `${dynamic.changed} nodes have`} a dynamic int8 form`
        : 'tries all schemes and keeps what measures better',
    });
  }
  const stored = smallestSafe(best);
  const saved = stored ? 1 - stored.tensorBytes! / facts.tensorBytes : 0;
  if (stored && saved > worthSaving) {
    list.push({
      command: `pare quantize ${file} --scheme ${stored.scheme} -o ${outputOf(facts, stored.scheme)}`,
      why: `${Math.round(100 * saved)} % off the weights, without any data`,
    });
  }
  return list;
}

/** The smallest; where it is close, the one that leaves activations as they are. */
function smallestSafe(schemes: readonly SchemeOutlook[]): SchemeOutlook | undefined {
  const sized = schemes.filter(({ tensorBytes }) => tensorBytes !== null);
  const least = Math.min(...sized.map(({ tensorBytes }) => tensorBytes!));
  const close = sized.filter(({ tensorBytes }) => tensorBytes! <= closeEnough * least);
  return close.find(({ scheme }) => scheme === 'weight-only') ?? close[0];
}

/** Cutting pays where much can leave; training afterwards brings the accuracy back. */
function pruneSteps(facts: Omit<Inspection, 'next'>): NextStep[] {
  const units = (facts.prune?.free ?? []).reduce((sum, row) => sum + row.units, 0);
  const canLearn = facts.train !== null && !facts.train.error && facts.train.blocked.length === 0;
  if (units === 0 || !canLearn) return [];
  return [
    {
      command: `pare prune ${fileOf(facts)} --method structured --macs 30% --data PATH${preprocess(facts)} -o ${outputOf(facts, 'pruned')}`,
      why: `${units} channels, neurons or heads can leave; pare finetune brings the accuracy back`,
    },
  ];
}

function simplifySteps({ simplify, ...facts }: Omit<Inspection, 'next'>): NextStep[] {
  if (!simplify || simplify.nodesAfter >= simplify.nodesBefore) return [];
  return [
    {
      command: `pare simplify ${fileOf(facts)} -o ${outputOf(facts, 'simple')}`,
      why: `${simplify.nodesBefore} nodes become ${simplify.nodesAfter}, with equal outputs`,
    },
  ];
}

/** A picture goes through a preprocessing that only its user knows. */
function preprocess({ inputs }: Pick<Inspection, 'inputs'>): string {
  const isPicture = inputs.some(({ type }) =>
    /\[[^,]+,([13],\d{2,},\d{2,}|\d{2,},\d{2,},[13])\]$/.test(type),
  );
  return isPicture ? ' --preprocess PRESET' : '';
}

function fileOf({ file }: Pick<Inspection, 'file'>): string {
  const name = file ?? 'MODEL.onnx';
  return /^[\w./:,=%+-]+$/.test(name) ? name : `'${name.replaceAll("'", "'\\''")}'`;
}

function outputOf({ file }: Pick<Inspection, 'file'>, word: string): string {
  const base = (file ?? 'MODEL.onnx').split(/[\\/]/).at(-1)!;
  return fileOf({ file: `${base.replace(/\.onnx$/i, '')}.${word}.onnx` });
}
