import { expect, test } from 'vitest';
import { simplifications } from './index.js';
import { rewriteNames } from './names.js';

test('the names for help are those of the rewrites', () => {
  expect(rewriteNames).toEqual(simplifications.map(({ name }) => name));
});
