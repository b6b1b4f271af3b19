import { defineConfig } from 'vitest/config'

/**
 * What needs no server, and no long simulation: `npm run test:unit`. Files share a process and what it has imported, on
 * which most of them spent more time than on their tests: a test that sets something in a module takes it back.
 */
const pure = {
  name: 'unit',
  isolate: false,
  include: ['**/*.test.ts'],
  exclude: ['**/node_modules/**', 'dist/**', '.weft/**', 'test/**'],
}
const project = (name: string, ...folders: string[]) => ({
  name,
  include: folders.map((folder) => `test/${folder}/**/*.test.ts`),
})

export default defineConfig({
  test: {
    projects: [
      pure,
      project('sim', 'sim'),
      project('tools', 'architecture', 'helpers', 'pgsuite', 'soak'),
      project('cluster', 'integration', 'protocol', 'client', 'clients'),
      project('faults', 'failure'),
    ].map((test) => ({ extends: true as const, test })),
    environment: 'node',
    pool: 'forks',
    maxWorkers: 2,
    // These are guards against hanging too: what takes 10 s on a quiet machine took over a minute on a busy one.
    testTimeout: 180_000,
    hookTimeout: 240_000,
    teardownTimeout: 30_000,
    // A guard against hanging, not a statement about speed: the default of a second is one on a busy machine.
    expect: { poll: { timeout: 30_000 } },
    // What was transformed once is read again from node_modules by the next project and the next run, while it is the same.
    experimental: { fsModuleCache: true },
  },
})
