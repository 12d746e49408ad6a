import {defineConfig} from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/{unit,contract,golden,e2e,fuzz}/**/*.test.ts'],
    globalSetup: ['test/global-setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    pool: 'forks',
    reporters: ['default', './test/closing-line.ts'],
  },
});
