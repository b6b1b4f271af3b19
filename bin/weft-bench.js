#!/usr/bin/env node
// Benchmarks of a checkout: bundles bench/main.ts when a source is newer than the bundle, then runs it.
import { existsSync } from 'node:fs'

process.setSourceMapsEnabled(true)

if (!existsSync(new URL('../node_modules/esbuild', import.meta.url))) {
  console.error('weft-bench: it runs in a checkout with the development dependencies; run npm ci first')
  process.exit(1)
}
const { buildIfStale } = await import(new URL('../scripts/build.js', import.meta.url).href)
try {
  await buildIfStale('bench/main.ts', 'dist/weft-bench.js')
} catch (error) {
  console.error(`weft-bench: the sources could not be bundled: ${error.message.split('\n')[0]}`)
  process.exit(1)
}
await import(new URL('../dist/weft-bench.js', import.meta.url).href)
