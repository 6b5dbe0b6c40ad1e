/** External data files. */
import type { ByteSource } from './byte-source.js';
import { type ModelProto } from './schema/onnx_pb.js';

export type ExternalFiles = (location: string) => Promise<ByteSource>;

export async function openExternals(proto: ModelProto, files: ExternalFiles): Promise<Map<string, ByteSource>> {
  const locations = new Set<string>();
  for (const t of proto.graph?.initializer ?? []) for (const e of t.externalData) if (e.key === 'location') locations.add(e.value);
  const out = new Map<string, ByteSource>();
  for (const location of locations) out.set(location, await files(location));
  return out;
}
