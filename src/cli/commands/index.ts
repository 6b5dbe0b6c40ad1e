/**
 * The commands of `pare`, in the order of the help. Only names and summaries: each command's own
 * file is loaded when it is named.
 */
import type { LightCommand } from '../command.js';

export const commands: readonly LightCommand[] = Object.freeze([]);
