/**
 * Which array of the data feeds which input of the model. Names only.
 */
import type { PortInfo } from '../engine/engine.js';
import { PareError } from '../errors.js';
import { describePort } from './fit-input.js';

export interface Binding {
  /** Name in the data. */
  readonly from: string;
  /** Name of the sample's tensor: the input's, or the data's when no model is known. */
  readonly to: string;
  readonly port: PortInfo | undefined;
}

/**
 * An array with an input's name feeds that input. When none has, the only array feeds the only
 * input; a picture feeds the only input of rank 4. Throws `data-mismatch` with both lists.
 */
export function bindInputs(
  names: readonly string[],
  ports: readonly PortInfo[] | undefined,
  kind: 'image' | 'array',
): readonly Binding[] {
  if (ports === undefined) {
    return names.map((from) => ({ from, to: names.length === 1 ? '' : from, port: undefined }));
  }
  const named = ports.filter((port) => names.includes(port.name));
  if (named.length > 0) return named.map((port) => ({ from: port.name, to: port.name, port }));
  const candidates = kind === 'image' && ports.length > 1 ? ports.filter(isPicturePort) : ports;
  if (names.length === 1 && candidates.length === 1) {
    return [{ from: names[0]!, to: candidates[0]!.name, port: candidates[0] }];
  }
  const has = names.map((name) => (name === '' ? 'one without a name' : `"${name}"`)).join(', ');
  throw new PareError(
    'data-mismatch',
    `data: arrays of the data: ${has || 'none'}; inputs of the model: ${ports.map(describePort).join(', ')}`,
    { hint: 'give the arrays the names of the inputs' },
  );
}

const isPicturePort = (port: PortInfo) => port.dims?.length === 4;

/** Names in the data that feed nothing. */
export function unusedNames(names: readonly string[], bindings: readonly Binding[]): string[] {
  return names.filter((name) => !bindings.some(({ from }) => from === name));
}
