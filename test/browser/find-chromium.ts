/**
 * Where a Chromium is that can run tests: the one that PARE_CHROMIUM names, or the system's.
 * Playwright's own builds are not used, since they come from a network of their own.
 */
import { accessSync, constants } from 'node:fs';

const places = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];

export function findChromium(): string | undefined {
  const named = process.env.PARE_CHROMIUM;
  return (named ? [named] : places).find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
