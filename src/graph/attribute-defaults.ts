/**
 * Defaults of attributes by operator, from the ONNX operator specification. A default that
 * changed with the operator set lists the versions at which it did. Defaults that depend on the
 * rank of an input (strides, dilations, perm) have no constant value and are not here.
 */
import { activationDefaults } from './attribute-defaults/activation.js';
import { contribDefaults } from './attribute-defaults/contrib.js';
import { convolutionDefaults } from './attribute-defaults/convolution.js';
import { networkDefaults } from './attribute-defaults/network.js';
import { quantizationDefaults } from './attribute-defaults/quantization.js';
import type { AttributeDefault, DefaultTable } from './attribute-defaults/rows.js';
import { tensorDefaults } from './attribute-defaults/tensor.js';

export type { AttributeDefault };

const table: DefaultTable = Object.freeze({
  ...activationDefaults,
  ...contribDefaults,
  ...convolutionDefaults,
  ...networkDefaults,
  ...quantizationDefaults,
  ...tensorDefaults,
});

/**
 * The specification's default of an attribute at an opset (default: the newest), undefined where
 * it has none. Numbers are rounded to float32, as they are in files.
 *
 * @example attributeDefault('Softmax', 'axis', 11) // 1, and -1 from opset 13 on
 */
export function attributeDefault(
  op: string,
  name: string,
  opset = Number.POSITIVE_INFINITY,
): AttributeDefault | undefined {
  const attributes = Object.hasOwn(table, op) ? table[op] : undefined;
  const entry = attributes && Object.hasOwn(attributes, name) ? attributes[name] : undefined;
  const isChanging = typeof entry === 'object' && 'rows' in entry;
  const value = isChanging ? entry.rows.findLast(([since]) => since <= opset)?.[1] : entry;
  return typeof value === 'number' ? Math.fround(value) : value;
}
