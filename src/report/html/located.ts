/**
 * A part of the report's data together with its place in it, as a JSON pointer (RFC 6901). What a
 * page shows of it can then be held against the document: see `show`.
 */
export class Located<T> {
  readonly value: T;
  readonly at: string;

  constructor(value: T, at = '') {
    this.value = value;
    this.at = at;
  }

  get<Key extends string & keyof T>(key: Key): Located<T[Key]> {
    return new Located(
      this.value[key],
      `${this.at}/${key.replace(/~/g, '~0').replace(/\//g, '~1')}`,
    );
  }

  /** Undefined for null: what was not measured. */
  maybe<Key extends string & keyof T>(key: Key): Located<NonNullable<T[Key]>> | undefined {
    const found = this.get(key);
    return found.value === null || found.value === undefined
      ? undefined
      : (found as Located<NonNullable<T[Key]>>);
  }

  /** The entries of a list. */
  items<Item>(this: Located<readonly Item[]>): Located<Item>[] {
    return this.value.map((item, index) => new Located(item, `${this.at}/${index}`));
  }
}
