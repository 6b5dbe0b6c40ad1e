/** The shape of the tables of attribute defaults, and the row of a default that changed. */

export type AttributeDefault = number | string | readonly number[] | readonly string[];

/** From this opset on, this default; undefined where the attribute has none or is gone. */
export type Change = readonly [since: number, value: AttributeDefault | undefined];

/** By operator ('Conv', 'com.microsoft:FusedMatMul') and attribute. */
export type DefaultTable = Readonly<
  Record<string, Readonly<Record<string, AttributeDefault | { readonly rows: readonly Change[] }>>>
>;

/** A default that depends on the opset, oldest row first. */
export function changed(...rows: readonly Change[]): { readonly rows: readonly Change[] } {
  return { rows };
}
