/** Runs the fixtures of every rewrite: a rewrite without a folder of fixtures fails here. */
import { describeFixtures } from '../testing/node-fixtures.js';
import { simplifications } from './index.js';

for (const pass of simplifications) {
  describeFixtures(new URL(`./fixtures/${pass.name}`, import.meta.url), pass);
}
