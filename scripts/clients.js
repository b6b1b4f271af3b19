// npm run test:clients: clients of all kinds against Weft and a plain Postgres; test/clients/main.ts, bundled.
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from './build.js'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
process.chdir(root)
// Two folders deep, as the files that it is made of: they find the repository by their place.
await build('test/clients/main.ts', 'dist/test/clients.js')
await import(pathToFileURL(join(root, 'dist/test/clients.js')))
