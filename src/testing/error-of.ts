/** The PareError that a promise is rejected with. For tests, in pages too. */
import { expect } from 'vitest';
import { PareError } from '../errors.js';

export async function errorOf(promise: Promise<unknown>): Promise<PareError> {
  const error = await promise.then(
    () => undefined,
    (thrown) => thrown,
  );
  expect(error).toBeInstanceOf(PareError);
  return error as PareError;
}
