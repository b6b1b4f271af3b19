import { slotRanges } from '../../../cluster/slots.ts'
import { weftError } from '../../../errors/catalog.ts'
import type { KeyType } from '../../../sql/catalog.ts'
import { slotExpression } from '../../../sql/hash/slot-expression.ts'
import { quoteName, quoteNames } from '../quote.ts'
import { ShardCopies } from '../shards/shard-copies.ts'
import type { ShardRunner } from '../shards/shard-runner.ts'

const HOME = 0
const TAB = 0x09

export interface MovedTable {
  /** Qualified and quoted. */
  readonly name: string
  /** The columns that COPY can write: all but generated ones. */
  readonly columns: readonly string[]
  /** The encoding in which the values travel: home's own. */
  readonly encoding: string
}

export const textCopy = (table: MovedTable): string => `(FORMAT text, ENCODING '${table.encoding}')`

const copyFrom = (table: MovedTable): string =>
  `COPY ${table.name} (${quoteNames(table.columns)}) FROM STDIN WITH ${textCopy(table)}`

const rowsOfTag = (tag: string): number => Number(tag.split(' ').at(-1))

/**
 * Moves the rows that other shards own from home to them. The rows leave home with their slot before the first tab, so
 * that nothing else of them has to be understood. Counted three times: out, in, deleted.
 */
export async function moveOut(
  runner: ShardRunner,
  table: MovedTable,
  key: { readonly column: string; readonly type: KeyType },
  slots: Uint16Array,
): Promise<void> {
  const slot = slotExpression(key.type, quoteName(key.column))
  const home = slotRanges(slots).filter((range) => range.shard === HOME)
  const isHome = home.map((r) => `${slot} BETWEEN ${r.from} AND ${r.to}`).join(' OR ')
  const notHome = home.length === 0 ? 'true' : `NOT (${isHome})`
  const rows = `SELECT ${slot}, ${quoteNames(table.columns)} FROM ONLY ${table.name} WHERE ${notHome}`
  const copies = new ShardCopies(runner, copyFrom(table))
  const out = await streaming(copies, () =>
    runner.copyOut(HOME, `COPY (${rows}) TO STDOUT WITH ${textCopy(table)}`, (row) => {
      const tab = row.indexOf(TAB)
      copies.append(slots[Number(row.toString('latin1', 0, tab))]!, row, tab + 1, row.length)
      return copies.room()
    }),
  )
  const received = (await copies.finish()).reduce((sum, n) => sum + n, 0)
  const { tag } = await runner.query(HOME, `DELETE FROM ONLY ${table.name} WHERE ${notHome}`, [], 'write')
  checkCounts(rowsOfTag(out.tag), received, rowsOfTag(tag))
}

/** Copies all rows of home to every other shard. */
export async function copyToAll(runner: ShardRunner, table: MovedTable): Promise<void> {
  const copies = new ShardCopies(runner, copyFrom(table))
  const sql = `COPY ${table.name} (${quoteNames(table.columns)}) TO STDOUT WITH ${textCopy(table)}`
  const out = await streaming(copies, () =>
    runner.copyOut(HOME, sql, (row) => {
      for (let shard = HOME + 1; shard < runner.shardCount; shard++) copies.append(shard, row, 0, row.length)
      return copies.room()
    }),
  )
  const received = await copies.finish()
  checkCounts(rowsOfTag(out.tag), ...received.slice(HOME + 1))
}

/** Brings the rows of all other shards back to home; where they came from they stay. */
export const moveBack = (runner: ShardRunner, table: MovedTable): Promise<void> =>
  bringRows(runner, table, table.name, async (take) => {
    const sql = `COPY ${table.name} (${quoteNames(table.columns)}) TO STDOUT WITH ${textCopy(table)}`
    const tags: string[] = []
    for (let shard = HOME + 1; shard < runner.shardCount; shard++)
      tags.push((await runner.copyOut(shard, sql, take)).tag)
    return tags
  })

/** Reads the rows of all other shards, as COPY gives them; the tags of what read them. */
export type RowsElsewhere = (take: (row: Buffer) => void | Promise<void>) => Promise<readonly string[]>

/** Copies the rows of all other shards to home, into this table. */
export async function bringRows(
  runner: ShardRunner,
  table: MovedTable,
  into: string,
  read: RowsElsewhere,
): Promise<void> {
  const copies = new ShardCopies(runner, copyFrom({ ...table, name: into }))
  const tags = await streaming(copies, () =>
    read((row) => {
      copies.append(HOME, row, 0, row.length)
      return copies.room()
    }),
  )
  const sent = tags.reduce((sum, tag) => sum + rowsOfTag(tag), 0)
  checkCounts(sent, (await copies.finish())[HOME]!)
}

/** A stream that breaks leaves no COPY open behind it. */
async function streaming<T>(copies: ShardCopies, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    await copies.fail('the rows could not be read')
    throw error
  }
}

function checkCounts(...counts: readonly number[]): void {
  if (counts.every((n) => n === counts[0])) return
  throw weftError('internal', { what: `rows were lost while a table moved (${counts.join(', ')})` })
}
