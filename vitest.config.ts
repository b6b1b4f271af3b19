import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    environment: 'node',
    include: ['**/*.test.ts'],
    exclude: ['**/node_modules/**', 'dist/**', '.weft/**'],
    pool: 'forks',
    maxWorkers: 2,
    // These are guards against hanging too: what takes 10 s on a quiet machine took over a minute on a busy one.
    testTimeout: 180_000,
    hookTimeout: 240_000,
    teardownTimeout: 30_000,
    // A guard against hanging, not a statement about speed: the default of a second is one on a busy machine.
    expect: { poll: { timeout: 30_000 } },
  },
})
