/** Structural differences of two models. Weights and layers have parts of their own. */
import * as z from 'zod/mini';
import { count, text } from './common.js';

const nodeRef = z.object({ node: text, op: text, inside: z.nullable(text) });

/** Most rows of each list; the counts are of all. */
export const mostDiffRows = 200;

export const diff = z.object({
  equal: z.boolean(),
  difference: z.nullable(text),
  interface: z.array(
    z.object({
      port: text,
      name: text,
      change: text,
      a: z.nullable(text),
      b: z.nullable(text),
      breaking: z.boolean(),
    }),
  ),
  head: z.array(z.object({ what: text, a: z.nullable(text), b: z.nullable(text) })),
  nodes: z.object({
    unchanged: count,
    addedCount: count,
    removedCount: count,
    changedCount: count,
    added: z.array(nodeRef),
    removed: z.array(nodeRef),
    changed: z.array(z.object({ node: text, op: text, now: text, changes: z.array(text) })),
  }),
  operators: z.array(
    z.object({ op: text, nodesA: count, nodesB: count, bytesA: count, bytesB: count }),
  ),
});

export type DiffData = z.output<typeof diff>;
