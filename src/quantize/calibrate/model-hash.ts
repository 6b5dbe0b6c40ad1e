/**
 * One number for what a model computes: a SHA-256 over its nodes and weights, the same for equal
 * models whatever file they were read from.
 */
import { fingerprintSource } from '../../data/fingerprint.js';
import type { Model } from '../../graph/model.js';
import { bytesSource } from '../../onnx/byte-source.js';

/** Hex. Main graph and its weights; bodies of If, Loop and Scan are not calibrated. */
export async function modelHash(model: Model): Promise<string> {
  const lines = [structureOf(model)];
  for (const { name, initializer: tensor } of model.graph.initializers) {
    const digest = await fingerprintSource(bytesSource(await tensor!.bytes()));
    lines.push(`${name} ${tensor!.dataType}[${tensor!.dims.join(',')}] ${digest}`);
  }
  return fingerprintSource(bytesSource(new TextEncoder().encode(lines.join('\n'))));
}

/** Everything that the nodes are and how they hang together, but for large attributes. */
export function structureOf(model: Model): string {
  const lines: string[] = [];
  for (const node of model.graph.nodes) {
    const attributes = Array.from(node.attributes, ([name, { value }]) =>
      typeof value === 'object' && !Array.isArray(value) ? name : `${name}=${String(value)}`,
    );
    lines.push(
      `${node.op}(${node.inputs.join(',')})=>${node.outputs.join(',')} ${attributes.join(' ')}`,
    );
  }
  return lines.join('\n');
}
