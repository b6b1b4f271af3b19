import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const root = '/usr/lib/postgresql'
const inside = 'lib/pgxs/src/test/isolation/isolationtester'

/** Postgres' program that runs .spec files; undefined where Debian's postgresql-client is not installed. */
export const isolationTester: string | undefined = (existsSync(root) ? readdirSync(root) : [])
  .map((version) => join(root, version, inside))
  .find((path) => existsSync(path))

/** What isolationtester prints for a spec. */
export async function runSpec(spec: string, server: { host: string; port: number }): Promise<string> {
  if (isolationTester === undefined)
    throw new Error('no isolationtester here: apt-get install postgresql-client')
  const connection = `host=${server.host} port=${server.port} user=postgres dbname=postgres`
  const child = spawn(isolationTester, [`${connection} sslmode=disable gssencmode=disable`], {
    env: { ...process.env, PGISOLATIONTIMEOUT: '20', PGAPPNAME: 'isolation' },
    stdio: 'pipe',
  })
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  child.stdin.end(spec)
  await once(child, 'close')
  return said
}

const directory = 'test/isolation'

export const specNames: readonly string[] = readdirSync(directory)
  .filter((file) => file.endsWith('.spec'))
  .map((file) => file.slice(0, -'.spec'.length))
  .sort()

export const readSpec = (name: string): string => readFileSync(join(directory, `${name}.spec`), 'utf8')

/** For a plain Postgres: no table is sharded. */
export const withoutSharding = (spec: string): string =>
  spec.replaceAll(/\s*WITH \((shard_key|reference)[^)]*\)/g, '')

/** What Weft says where it need not be word by word what one Postgres says. */
export function readExpected(name: string): string | undefined {
  const path = join(directory, 'expected', `${name}.out`)
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined
}
