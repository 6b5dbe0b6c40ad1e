/**
 * The IR version of the file format that each operator set came with. A file of an older IR has no
 * place for what its operators may use (new data types, initializers that are no inputs).
 * Source: the release table of the ONNX specification (docs/Versioning.md).
 */

/** Rows [opset, IR version]: from this opset on, at least this IR version. */
const rows: readonly (readonly [opset: number, irVersion: number])[] = [
  [1, 3],
  [9, 4],
  [10, 5],
  [11, 6],
  [12, 7],
  [15, 8],
  [19, 9],
  [21, 10],
  [23, 11],
  [24, 12],
  [25, 13],
];

/** @example minimumIrVersion(21) // 10 */
export function minimumIrVersion(opset: number): number {
  return rows.findLast(([since]) => since <= opset)?.[1] ?? 3;
}
