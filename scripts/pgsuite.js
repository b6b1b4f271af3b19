// npm run pgsuite: Postgres' own regression suite through Weft; test/pgsuite/main.ts, bundled.
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from './build.js'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
await build('test/pgsuite/main.ts', 'dist/pgsuite.js')
await import(pathToFileURL(join(root, 'dist', 'pgsuite.js')))
