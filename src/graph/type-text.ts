/**
 * Types of values as text: `float[N,3,?]`, `float` for a scalar, `float[]` for an unknown rank,
 * `seq(type)`, `map(int64, type)`, `optional(type)`, `sparse_tensor(float[3])`.
 */
import { nameText, quotedText } from './text-literals.js';
import type { Dim, ValueType } from './value-type.js';

/** `unknown` stands for a type that is not given, `undefined` for a missing element type. */
export function typeText(type: ValueType | undefined): string {
  switch (type?.kind) {
    case undefined:
      return 'unknown';
    case 'tensor':
      return `${type.dataType ?? 'undefined'}${dimsText(type.dims)}`;
    case 'sparse-tensor':
      return `sparse_tensor(${type.dataType ?? 'undefined'}${dimsText(type.dims)})`;
    case 'sequence':
      return `seq(${typeText(type.element)})`;
    case 'optional':
      return `optional(${typeText(type.element)})`;
    case 'map':
      return `map(${type.key ?? 'undefined'}, ${typeText(type.value)})`;
    case 'opaque':
      return opaqueText(type.domain, type.name);
  }
}

/** '[N,3,?]', '[]' for an unknown rank, nothing for a scalar. */
export function dimsText(dims: readonly Dim[] | undefined): string {
  if (!dims) return '[]';
  if (dims.length === 0) return '';
  const parts = dims.map((dim) => {
    if (typeof dim === 'string') return nameText(dim);
    return dim === undefined ? '?' : String(dim);
  });
  return `[${parts.join(',')}]`;
}

function opaqueText(domain: string, name: string): string {
  const id = (text: string) =>
    /^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$/.test(text) ? text : quotedText(text);
  if (domain === '') return name === '' ? 'opaque()' : `opaque(${id(name)})`;
  return `opaque(${id(domain)}, ${id(name)})`;
}
