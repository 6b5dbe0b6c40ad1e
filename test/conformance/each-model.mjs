/**
 * The .onnx files of a folder one after the other, opened and closed, for the scripts that check or
 * measure every model of a folder. A model that fails does not end the run.
 */
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';

/**
 * True when a model failed: `visit` threw, which `onError` tells.
 *
 * @param openModel of pare
 * @param only names without .onnx, separated by commas; all without
 */
export async function eachModel(openModel, folder, only, { visit, onError }) {
  const wanted = only?.split(',').filter(Boolean) ?? [];
  let failed = false;
  const files = readdirSync(folder).filter((name) => name.endsWith('.onnx'));
  for (const file of files.sort()) {
    const name = basename(file, '.onnx');
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    try {
      const { model, close } = await openModel(join(folder, file));
      try {
        await visit(model, name);
      } finally {
        await close();
      }
    } catch (error) {
      failed = true;
      onError(error, name);
    }
  }
  return failed;
}
