// npm run jepsen:judge -- FILE: bundles jepsen/judge.ts when a source is newer, and runs it.
import { buildIfStale } from './build.js'

process.setSourceMapsEnabled(true)
await buildIfStale('jepsen/judge.ts', 'dist/jepsen-judge.js')
await import(new URL('../dist/jepsen-judge.js', import.meta.url).href)
