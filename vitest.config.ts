import {defineConfig} from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/{unit,contract,golden,e2e,fuzz}/**/*.test.ts'],
    globalSetup: ['test/global-setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Many tests time real programs by what they print, on machines that may stall. What passes only then is named at the end.
    retry: 1,
    pool: 'forks',
    reporters: ['default', './test/closing-line.ts'],
  },
});
