/** Versions, machine, data, and the command that makes it all again. */
import * as z from 'zod/mini';
import { count, text } from './common.js';

export const provenance = z.object({
  pare: text,
  /** ISO 8601. */
  created: text,
  command: text,
  /** The call, ready for a shell. */
  call: text,
  seed: count,
  engine: z.nullable(z.object({ name: text, version: text })),
  machine: z.nullable(
    z.object({
      cpu: text,
      cores: count,
      memoryBytes: count,
      os: text,
      arch: text,
      node: text,
      vnni: z.nullable(z.boolean()),
    }),
  ),
  data: z.nullable(z.object({ path: text, size: count, fingerprint: text, preprocessing: text })),
});

export type Provenance = z.output<typeof provenance>;
