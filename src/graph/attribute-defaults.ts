/**
 * Defaults of attributes by operator, from the ONNX operator specification. A default that
 * changed with the operator set lists the versions at which it did.
 */

export type AttributeDefault = number | string | readonly number[] | readonly string[];

/** By operator ('Conv', 'com.microsoft:FusedMatMul') and attribute: the default, or [since, default] rows. */
type Rows = readonly (readonly [since: number, value: AttributeDefault])[];

const table: Readonly<Record<string, Readonly<Record<string, AttributeDefault | { rows: Rows }>>>> =
  {};

/** The specification's default of an attribute, undefined where it has none. */
export function attributeDefault(
  op: string,
  name: string,
  opset = Number.POSITIVE_INFINITY,
): AttributeDefault | undefined {
  const entry = table[op]?.[name];
  if (typeof entry !== 'object' || !('rows' in entry)) return entry;
  return entry.rows.findLast(([since]) => since <= opset)?.[1];
}
