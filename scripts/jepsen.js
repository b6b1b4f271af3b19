// npm run jepsen -- --workload W --nemesis N,N: bundles jepsen/main.ts and weft when a source is newer, and runs it.
import { buildIfStale } from './build.js'

process.setSourceMapsEnabled(true)
await buildIfStale()
await buildIfStale('jepsen/main.ts', 'dist/jepsen.js')
await import(new URL('../dist/jepsen.js', import.meta.url).href)
