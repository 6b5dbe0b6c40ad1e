import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'node',
          environment: 'node',
          include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
          testTimeout: 30_000,
          // onnxruntime-node must not be torn down in a worker thread in the middle of a run.
          pool: 'forks',
        },
      },
    ],
  },
});
