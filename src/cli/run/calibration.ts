/**
 * What pare calibration does: reads a table, pins ranges, shows and writes it.
 */
import { resolve } from 'node:path';
import type * as z from 'zod/mini';
import { writeFileAtomic } from '../../disk/write-file.js';
import { PareError } from '../../errors.js';
import { chosenRanges } from '../../quantize/calibrate/chosen-ranges.js';
import { pinRanges, printCalibration } from '../../quantize/calibrate/table.js';
import { calibrationText } from '../../report/calibration-text.js';
import type { CommandContext } from '../command.js';
import type { calibrationOptions } from '../commands/calibration.js';
import { tableSettings } from '../open.js';
import { readCalibration } from '../read-calibration.js';

type Context = CommandContext<z.output<typeof calibrationOptions>, { readonly file: string }>;

export async function run({ args, options, globals, cwd, signal, output }: Context): Promise<void> {
  const { set, output: path, ...choice } = options;
  if (set.length > 0 && path === undefined) {
    throw new PareError('usage', 'calibration: --set changes a table, but none is written', {
      hint: 'say where with -o FILE',
    });
  }
  const given = await readCalibration(args.file, cwd);
  const table = pinRanges(given, parseRanges(set));
  const rows = chosenRanges(table, choice);
  output.stdout(calibrationText(table, rows, tableSettings(output, true)));
  const target = path === undefined ? undefined : resolve(cwd, path);
  if (target !== undefined && !globals.dryRun) {
    const text = new TextEncoder().encode(printCalibration(table));
    const inputs = [resolve(cwd, args.file)];
    await writeFileAtomic(target, [text], { force: globals.force, inputs, signal });
  }
  if (target !== undefined) output.human(`${globals.dryRun ? 'Would write' : 'Wrote'} ${target}.`);
  const { pare, calibrator, model, data } = table;
  output.json({
    ...{ command: 'calibration', file: args.file, pare, calibrator, model, data: data ?? null },
    written: target === undefined || globals.dryRun ? null : target,
    values: rows,
  });
}

/**
 * NAME=MIN,MAX. The commas have cut the items apart already when they come as flags; a name holds
 * whatever stands before the last '='.
 */
export function parseRanges(
  items: readonly string[],
): Record<string, { min: number; max: number }> {
  const ranges: Record<string, { min: number; max: number }> = {};
  let rest = items.join(',');
  while (rest !== '') {
    const found = /^(.+?)=([^,=]+),([^,=]+)(?:,|$)/s.exec(rest);
    const [min, max] = [Number(found?.[2]), Number(found?.[3])];
    if (!found || !Number.isFinite(min) || !Number.isFinite(max)) {
      throw new PareError('usage', `--set: "${rest}" is not NAME=MIN,MAX`, {
        hint: "for example --set 'relu1=0,6'",
      });
    }
    ranges[found[1]!] = { min, max };
    rest = rest.slice(found[0].length);
  }
  return ranges;
}
