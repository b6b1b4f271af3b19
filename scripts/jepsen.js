// npm run jepsen -- --workload W --nemesis N,N: bundles jepsen/main.ts and weft when a source is newer, and the broken
// builds that are asked for, and runs it.
import { buildIfStale } from './build.js'
import { buildMutant, mutants } from './mutants.js'

process.setSourceMapsEnabled(true)
await buildIfStale()
await buildIfStale('jepsen/main.ts', 'dist/jepsen.js')
const at = process.argv.indexOf('--mutant')
if (at > 0) process.argv.push('--program', await buildMutant(process.argv[at + 1]))
else if (process.argv.includes('--mutants')) for (const name of Object.keys(mutants)) await buildMutant(name)
await import(new URL('../dist/jepsen.js', import.meta.url).href)
