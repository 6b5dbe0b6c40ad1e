import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createTempFolder } from './temp-files.js';

it('writes parts in order, also into folders, and removes everything', async () => {
  const folder = await createTempFolder();
  const path = await folder.write('weights/a.bin', [Uint8Array.of(1, 2), Uint8Array.of(3)]);
  expect(path).toBe(join(folder.path, 'weights', 'a.bin'));
  expect([...(await readFile(path))]).toEqual([1, 2, 3]);
  await folder.remove();
  expect(existsSync(folder.path)).toBe(false);
  await folder.remove();
});

it.each(['../a.bin', '/a.bin', 'b/../../a.bin'])('refuses the location %s', async (location) => {
  const folder = await createTempFolder();
  try {
    await expect(folder.write(location, [])).rejects.toMatchObject({ code: 'invalid-model' });
  } finally {
    await folder.remove();
  }
});
