import {defineConfig} from 'vitest/config';

/** Apart from the other tests: they need the guest with real ZFS, which takes a quarter of an hour to build. */
export default defineConfig({
  test: {
    include: ['test/zfs-guest/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 5_400_000,
    fileParallelism: false,
    pool: 'forks',
  },
});
