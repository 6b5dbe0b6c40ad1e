/**
 * Class names to class indices, the same way for folders and tables.
 */
import { PareError } from '../errors.js';
import { compare } from './folder.js';

export interface ClassLabels {
  readonly indices: Int32Array;
  /** Names by index; undefined when the data gave the indices itself. */
  readonly classes: readonly string[] | undefined;
}

/**
 * Names that are all whole numbers are the indices. Other names are numbered in the order of
 * their code units, as torchvision's ImageFolder does. Throws `invalid-data` for an empty name.
 *
 * @example labelsOf(['dog', 'cat', 'dog'], 'x.csv') // indices 1, 0, 1; classes cat, dog
 */
export function labelsOf(names: readonly string[], file: string): ClassLabels {
  if (names.every((name) => /^\d{1,9}$/.test(name))) {
    return { indices: Int32Array.from(names, Number), classes: undefined };
  }
  if (names.includes('')) throw new PareError('invalid-data', 'data: a label is empty', { file });
  const classes = [...new Set(names)].sort(compare);
  const indexOf = new Map(classes.map((name, i) => [name, i]));
  return { indices: Int32Array.from(names, (name) => indexOf.get(name)!), classes };
}
