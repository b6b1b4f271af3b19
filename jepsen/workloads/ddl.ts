import type { Ddl, DdlRead } from '../check/ops.ts'
import { query } from '../cluster/query.ts'
import type { OpValue } from '../history/op.ts'
import type { Session } from '../run/session.ts'
import { spread, type Task, type Workload, type WorkloadOptions } from './workload.ts'

const COLUMNS_MAX = 5

/** Columns come and go while rows are written: in the end all shards have the same ones, and every row. */
export function ddlWorkload(options: WorkloadOptions): Workload {
  const columns: string[] = []
  let names = 0
  let next = 0
  return {
    tables: [`CREATE TABLE changing (id int PRIMARY KEY) ${spread(options, 'id')}`],
    next: ({ random }): Task => {
      const draw = random.next()
      if (draw < 0.1) return { f: 'read', value: null }
      if (draw > 0.15) return { f: 'add', value: next++ }
      const dropped = columns.length >= COLUMNS_MAX ? columns.shift() : undefined
      return { f: 'ddl', value: dropped === undefined ? { add: `c${names++}` } : { drop: dropped } }
    },
    perform: async (session, { f, value, final }) => {
      if (f === 'read')
        return (await read(session, final === true ? options.shardUrls : [])) as unknown as OpValue
      if (f === 'add') await session.write('INSERT INTO changing (id) VALUES ($1)', [value])
      else await session.write(statementOf(value as Ddl))
      return value
    },
    heard: ({ type, f, value }) => {
      const { add } = f === 'ddl' ? (value as Ddl) : {}
      if (type === 'ok' && add !== undefined) columns.push(add)
    },
    finals: () => [{ f: 'read', value: null, final: true }],
  }
}

function statementOf({ add, drop }: Ddl): string {
  if (add !== undefined) return `ALTER TABLE changing ADD COLUMN ${add} int DEFAULT 1`
  return `ALTER TABLE changing DROP COLUMN ${drop}`
}

async function read(session: Session, shardUrls: readonly string[]): Promise<DdlRead> {
  const rows = await session.read<{ id: number }>('SELECT id FROM changing ORDER BY id')
  const ids = rows.map(({ id }) => id)
  if (shardUrls.length === 0) return { rows: ids }
  const columns: Record<string, string[]> = {}
  for (const [shard, url] of shardUrls.entries()) {
    const found = await query<{ name: string }>(
      url,
      `SELECT attname::text AS name FROM pg_attribute
       WHERE attrelid = 'jepsen.changing'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
    )
    columns[`shard ${shard}`] = found.map(({ name }) => name)
  }
  return { rows: ids, columns }
}
