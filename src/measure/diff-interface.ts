/**
 * What a caller of a model sees of a change: inputs, outputs, and what the file says of itself.
 */
import type { Model } from '../graph/model.js';
import { typeText } from '../graph/type-text.js';
import type { Value } from '../graph/value.js';
import { sameType, type ValueType } from '../graph/value-type.js';

/** Plain JSON. */
export interface PortChange {
  readonly port: 'input' | 'output';
  readonly name: string;
  readonly change: 'added' | 'removed' | 'type' | 'position';
  /** Types, or positions; null where there is none. */
  readonly a: string | null;
  readonly b: string | null;
  /** Whether code that uses the first model can fail with the second. */
  readonly breaking: boolean;
}

/** Plain JSON. */
export interface HeadChange {
  /** 'IR version', 'opset ai.onnx', 'producer', 'metadata KEY', 'function NAME'. */
  readonly what: string;
  readonly a: string | null;
  readonly b: string | null;
}

/** Breaking changes first. */
export function diffPorts(a: Model, b: Model): PortChange[] {
  const changes = [
    ...portChanges('input', a.graph.inputs, b.graph.inputs),
    ...portChanges('output', a.graph.outputs, b.graph.outputs),
  ];
  return changes.sort((x, y) => Number(y.breaking) - Number(x.breaking));
}

function portChanges(
  port: PortChange['port'],
  a: readonly Value[],
  b: readonly Value[],
): PortChange[] {
  const changes: PortChange[] = [];
  const add = (change: Omit<PortChange, 'port'>) => changes.push({ port, ...change });
  const others = new Map(b.map((value, at) => [value.name, { value, at }]));
  const names = new Set(a.map(({ name }) => name));
  const common = b.filter(({ name }) => names.has(name)).map(({ name }) => name);
  const kept = a.filter(({ name }) => others.has(name));
  for (const { name, type } of a) {
    const other = others.get(name);
    if (!other) {
      add({ name, change: 'removed', a: typeText(type), b: null, breaking: true });
    } else if (!sameType(type, other.value.type)) {
      const breaking = !accepts(port, type, other.value.type);
      add({ name, change: 'type', a: typeText(type), b: typeText(other.value.type), breaking });
    }
  }
  for (const { name, type, initializer } of b) {
    if (names.has(name)) continue;
    const breaking = port === 'input' && initializer === undefined;
    add({ name, change: 'added', a: null, b: typeText(type), breaking });
  }
  kept.forEach(({ name }, at) => {
    const now = common.indexOf(name);
    if (now === at) return;
    add({ name, change: 'position', a: String(at), b: String(now), breaking: false });
  });
  return changes;
}

/** Whether callers made for type `a` go on working: an input may get wider, an output narrower. */
function accepts(
  port: PortChange['port'],
  a: ValueType | undefined,
  b: ValueType | undefined,
): boolean {
  const [narrow, wide] = port === 'input' ? [a, b] : [b, a];
  if (!wide) return true;
  if (wide.kind !== 'tensor' || narrow?.kind !== 'tensor') return false;
  if (narrow.dataType !== wide.dataType) return false;
  if (!wide.dims) return true;
  if (!narrow.dims || narrow.dims.length !== wide.dims.length) return false;
  return wide.dims.every((dim, axis) => typeof dim !== 'number' || narrow.dims![axis] === dim);
}

export function diffHeads(a: Model, b: Model): HeadChange[] {
  const [left, right] = [headOf(a), headOf(b)];
  return [...new Set([...left.keys(), ...right.keys()])]
    .map((what) => ({ what, a: left.get(what) ?? null, b: right.get(what) ?? null }))
    .filter((row) => row.a !== row.b);
}

function headOf(model: Model): Map<string, string> {
  const { producerName = '', producerVersion = '' } = model.origin ?? {};
  const rows = new Map([['IR version', String(model.irVersion)]]);
  for (const [domain, version] of model.opsets) {
    rows.set(`opset ${domain || 'ai.onnx'}`, String(version));
  }
  const producer = `${producerName} ${producerVersion}`.trim();
  if (producer) rows.set('producer', producer);
  for (const [key, value] of model.metadata) rows.set(`metadata ${key}`, value);
  for (const { domain, name, body } of model.functions) {
    rows.set(`function ${domain ? `${domain}:` : ''}${name}`, `${body.nodes.size} nodes`);
  }
  return rows;
}
