import { playwright } from '@vitest/browser-playwright';
import { defineConfig, type TestProjectConfiguration } from 'vitest/config';
import { findChromium } from './test/browser/find-chromium.js';

const node: TestProjectConfiguration = {
  test: {
    name: 'node',
    environment: 'node',
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    exclude: ['**/*.browser.test.ts'],
    testTimeout: 30_000,
    // Engines start in hooks, slowly on a busy machine.
    hookTimeout: 60_000,
    // onnxruntime-node must not be torn down in a worker thread in the middle of a run.
    pool: 'forks',
  },
};

const browser = (executablePath: string): TestProjectConfiguration => ({
  // The runtime finds its .wasm beside its own module, which must stay where it is.
  optimizeDeps: {
    exclude: ['onnxruntime-web'],
    include: ['@bufbuild/protobuf', '@bufbuild/protobuf/codegenv2', 'fflate', 'zod/mini'],
  },
  test: {
    name: 'browser',
    include: ['src/**/*.browser.test.ts', 'test/**/*.browser.test.ts'],
    globalSetup: ['test/browser/node-curve.ts'],
    testTimeout: 120_000,
    hookTimeout: 60_000,
    browser: {
      enabled: true,
      headless: true,
      screenshotFailures: false,
      instances: [{ browser: 'chromium' }],
      provider: playwright({
        launchOptions: {
          executablePath,
          args: [
            '--no-sandbox',
            '--disable-gpu',
            '--disable-quic',
            '--no-first-run',
            '--disable-background-networking',
            '--disable-component-update',
            '--disable-sync',
          ],
        },
      }),
    },
  },
});

const chromium = findChromium();
if (!chromium) {
  process.stderr.write(
    'browser tests are skipped: no Chromium found (apt-get install chromium, or PARE_CHROMIUM=PATH)\n',
  );
}

export default defineConfig({
  test: { projects: chromium ? [node, browser(chromium)] : [node] },
});
