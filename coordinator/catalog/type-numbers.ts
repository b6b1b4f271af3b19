import type { InternalConnection } from './internal-connection.ts'

/** Number on a shard → number on the home shard, of types and relations that are not built in. */
export type Numbers = ReadonlyMap<number, number>

interface Log {
  warn(fields: object, message: string): void
}

const HOME = 0
/** Between two looks because of a number that was not known. */
const AGAIN_MS = 1_000

/** Types of users and of extensions; those that come with every table are no reason to translate. */
const hasTypesSql = `
SELECT EXISTS (
  SELECT FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
  WHERE t.oid >= 16384
    AND (t.typtype IN ('e', 'r', 'm') OR (t.typtype = 'b' AND t.typelem = 0)
      OR (t.typtype = 'c' AND c.relkind = 'c')))`

const numbersSql = `
SELECT t.oid, concat_ws('.', 't', quote_ident(n.nspname), quote_ident(t.typname))
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.oid >= 16384
UNION ALL
SELECT c.oid, concat_ws('.', 'c', quote_ident(n.nspname), quote_ident(c.relname))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'v')`

/**
 * Each server numbers the types that were made on it. Clients look numbers up in the catalogs of the home shard, so
 * what other shards say of their columns is told in its numbers. Nothing to do while there are built-in types only.
 */
export class TypeNumbers {
  private readonly connections: readonly InternalConnection[]
  private readonly log: Log
  private maps: readonly (Numbers | undefined)[] = []
  private inverse: readonly (Numbers | undefined)[] = []
  private looking: Promise<void> | undefined
  private lookedAt = 0

  constructor(connections: readonly InternalConnection[], log: Log) {
    this.connections = connections
    this.log = log
  }

  of(shard: number): Numbers | undefined {
    return this.maps[shard]
  }

  /** Number on the home shard → number on the shard. */
  there(shard: number): Numbers | undefined {
    return this.inverse[shard]
  }

  /** Reads them anew. A shard that is away keeps those it had. */
  refresh(): Promise<void> {
    const next = (this.looking ?? Promise.resolve()).then(() => this.look())
    const looking = next.catch((err: unknown) => this.log.warn({ err }, 'type numbers could not be read'))
    this.looking = looking
    return looking
  }

  /** A number came up that is not known: it may be of a type made just now. */
  missed(): void {
    if (performance.now() - this.lookedAt > AGAIN_MS) void this.refresh()
  }

  private async look(): Promise<void> {
    this.lookedAt = performance.now()
    const home = this.connections[HOME]!
    const { rows } = await home.query(hasTypesSql)
    if (rows[0]?.[0] !== 't') {
      this.maps = []
      this.inverse = []
      return
    }
    const all = await Promise.all(this.connections.map((connection) => connection.query(numbersSql)))
    const atHome = new Map(all[HOME]!.rows.map((row) => [row[1]!, Number(row[0])]))
    this.maps = all.map(({ rows: there }, shard) => (shard === HOME ? undefined : translation(there, atHome)))
    this.inverse = this.maps.map((numbers) => numbers && inverted(numbers))
  }
}

function inverted(numbers: Numbers): Numbers {
  return new Map([...numbers].map(([there, home]) => [home, there]))
}

function translation(
  rows: readonly (readonly (string | null)[])[],
  atHome: ReadonlyMap<string, number>,
): Numbers {
  const numbers = new Map<number, number>()
  for (const [oid, name] of rows) {
    const home = atHome.get(name!)
    if (home !== undefined) numbers.set(Number(oid), home)
  }
  return numbers
}
