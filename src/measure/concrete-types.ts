/**
 * The concrete type of every value of a model in one run: symbolic dims are set to numbers, the
 * runtime infers the rest, and what it cannot infer is read off one run on random feeds.
 */
import type { Engine, Feeds, PortInfo } from '../engine/engine.js';
import { randomFeeds } from '../engine/host-tensor.js';
import { inferTypes, probeShapes } from '../engine/shapes.js';
import { messageOf, PareError } from '../errors.js';
import { cloneModel } from '../graph/clone.js';
import type { Model } from '../graph/model.js';
import { modelToProto } from '../graph/to-proto.js';
import { type Dim, tensorType, type ValueType } from '../graph/value-type.js';
import type { ModelMessage } from '../onnx/contents.js';
import type { ConcreteType, TypeLookup } from '../ops/cost.js';

export interface DimOptions {
  /**
   * Sizes of symbolic dims by their name, or all dims of an input by the name of the input.
   * An open first dim of an input is 1 otherwise; any other open dim stays open.
   */
  readonly dims?: Readonly<Record<string, number | readonly number[]>> | undefined;
  /** Feeds for the run that finds what inference leaves open; default random ones. */
  readonly feeds?: Feeds | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ConcreteTypes {
  readonly types: TypeLookup;
  /** The dims of every graph input that a caller must feed, as they were set; an open one is its name or '?'. */
  readonly inputs: Readonly<Record<string, readonly (number | string)[]>>;
  readonly notes: readonly string[];
}

/**
 * Throws `usage` for a size that does not fit the input, `engine` when the runtime cannot load
 * the model. The model is not changed.
 *
 * @example
 * const { types } = await concreteTypes(engine, model, { dims: { seq: 128 } });
 */
export async function concreteTypes(
  engine: Engine,
  model: Model,
  options: DimOptions = {},
): Promise<ConcreteTypes> {
  const { signal } = options;
  const copy = cloneModel(model);
  const symbols = bindInputs(copy, options.dims ?? {});
  const message = modelToProto(copy);
  const { types } = await inferTypes(engine, message, { signal });
  const found = new Map<string, ConcreteType>();
  const open: string[] = [];
  for (const value of copy.graph.values) {
    const type = concrete(types.get(value.name), symbols);
    if (type) found.set(value.name, type);
    else if (types.has(value.name)) open.push(value.name);
  }
  const ports = portsOf(copy);
  const inputs = Object.fromEntries(ports.map(({ name, dims }) => [name, dims ?? []]));
  const notes: string[] = [];
  const isOpen = ports.some(
    ({ dims }) => dims === undefined || dims.some((d) => typeof d === 'string'),
  );
  if (isOpen) notes.push(openNote(ports));
  else if (open.length > 0) {
    notes.push(...(await probe(engine, message, ports, open, found, types, options)));
  }
  return {
    // A value of a subgraph has only what the file says of it; its name may be taken outside.
    types: (value) =>
      (value.graph.parent ? undefined : found.get(value.name)) ?? declared(value, symbols),
    inputs,
    notes,
  };
}

/** Sets the dims of the inputs that callers feed, and returns the size of each symbol. */
function bindInputs(model: Model, dims: NonNullable<DimOptions['dims']>): Map<string, number> {
  const symbols = new Map<string, number>();
  for (const [name, size] of Object.entries(dims)) {
    if (typeof size === 'number') symbols.set(name, size);
  }
  const inputs = model.graph.inputs.filter((value) => !value.initializer);
  for (const { type } of inputs) {
    const first = type?.kind === 'tensor' ? type.dims?.[0] : undefined;
    if (typeof first === 'string' && !symbols.has(first)) symbols.set(first, 1);
  }
  for (const input of inputs) {
    if (input.type?.kind !== 'tensor') continue;
    const whole = dims[input.name];
    const own = input.type.dims;
    const bound = typeof whole === 'object' ? [...whole] : own?.map(sizeOf);
    if (typeof whole === 'object' && own && !fits(whole, own)) {
      throw new PareError('usage', `dims: [${whole}] given for [${own.map((d) => d ?? '?')}]`, {
        tensor: input.name,
      });
    }
    own?.forEach((dim, axis) => {
      const size = bound?.[axis];
      if (typeof dim === 'string' && typeof size === 'number') symbols.set(dim, size);
    });
    input.type = tensorType(input.type.dataType, bound);
  }
  return symbols;

  function sizeOf(dim: Dim, axis: number): Dim {
    if (typeof dim === 'string') return symbols.get(dim) ?? dim;
    return dim ?? (axis === 0 ? 1 : undefined);
  }
}

function fits(dims: readonly number[], own: readonly Dim[]): boolean {
  return (
    dims.length === own.length &&
    dims.every((dim, axis) => typeof own[axis] !== 'number' || own[axis] === dim)
  );
}

/** Runs the model once for the values that inference leaves open; returns what went wrong. */
async function probe(
  engine: Engine,
  message: ModelMessage,
  ports: readonly PortInfo[],
  open: readonly string[],
  found: Map<string, ConcreteType>,
  types: ReadonlyMap<string, ValueType>,
  { feeds, signal }: DimOptions,
): Promise<string[]> {
  try {
    const tensors = open.filter((name) => types.get(name)?.kind === 'tensor');
    const used = feeds ?? randomFeeds(ports);
    const shapes = await probeShapes(engine, message, used, tensors, { signal });
    for (const [name, dims] of shapes) {
      const type = types.get(name);
      if (type?.kind === 'tensor' && type.dataType)
        found.set(name, { dataType: type.dataType, dims });
    }
    return [`dims of ${shapes.size} values were read off a run, inference leaves them open`];
  } catch (error) {
    if (error instanceof PareError && error.code === 'aborted') throw error;
    return [
      `dims of ${open.length} values are unknown: a run on random feeds failed: ${messageOf(error)}`,
    ];
  }
}

function portsOf(model: Model): PortInfo[] {
  return model.graph.inputs
    .filter((value) => !value.initializer)
    .map(({ name, dataType, dims }) => ({
      name,
      dataType,
      dims: dims?.map((dim) => dim ?? '?'),
    }));
}

function openNote(ports: readonly PortInfo[]): string {
  const names = ports.flatMap(({ name, dims }) =>
    (dims ?? ['?']).filter((d) => typeof d === 'string').map((dim) => `${dim} of "${name}"`),
  );
  return `open dims: ${names.join(', ')}; give their sizes as dims`;
}

function declared(
  value: { readonly type: ValueType | undefined; readonly initializer?: unknown },
  symbols: ReadonlyMap<string, number>,
): ConcreteType | undefined {
  const { initializer } = value as { initializer?: ConcreteType };
  return initializer ?? concrete(value.type, symbols);
}

function concrete(
  type: ValueType | undefined,
  symbols: ReadonlyMap<string, number>,
): ConcreteType | undefined {
  if (type?.kind !== 'tensor' || !type.dataType || !type.dims) return undefined;
  const dims = type.dims.map((dim) => (typeof dim === 'string' ? symbols.get(dim) : dim));
  if (dims.includes(undefined)) return undefined;
  return { dataType: type.dataType, dims: dims as number[] };
}
