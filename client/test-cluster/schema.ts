import { randomBytes } from 'node:crypto'
import pg from 'pg'

/** A schema for a file of tests, in which unqualified names are looked up and made first. */
export interface TestSchema {
  readonly name: string
  /** The cluster's URL, with the schema as `search_path`. */
  readonly url: string
  /** Drops it with all that is in it. */
  drop(): Promise<void>
}

/**
 * Makes a schema that nothing is in: files of tests that share a cluster do not see each other's tables. A cluster is one
 * database, so this is what stands in for a database of each file. Works on a plain Postgres too.
 *
 * @throws DatabaseError of node-postgres, when the login may not create schemas.
 * @example
 * const { url, drop } = await freshSchema(process.env.TEST_CLUSTER_URL)
 */
export async function freshSchema(clusterUrl: string): Promise<TestSchema> {
  const name = `test_${randomBytes(6).toString('hex')}`
  await run(clusterUrl, `CREATE SCHEMA ${name}`)
  return {
    name,
    url: withSearchPath(clusterUrl, name),
    drop: () => run(clusterUrl, `DROP SCHEMA IF EXISTS ${name} CASCADE`),
  }
}

/** Its parameters are encoded anew, the rest (a plus in a password) stays as it is. */
export function withSearchPath(clusterUrl: string, schema: string): string {
  const url = new URL(clusterUrl)
  // Of two settings of one name in `options` the last one counts.
  const options = [url.searchParams.get('options'), `-c search_path=${schema}`]
  url.searchParams.set('options', options.filter(Boolean).join(' '))
  // Drivers that follow libpq read a plus as itself.
  url.search = url.search.replaceAll('+', '%20')
  return url.href
}

async function run(url: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => undefined)
  await client.connect()
  try {
    await client.query(text)
  } finally {
    await client.end()
  }
}
