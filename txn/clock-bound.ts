import { open, readFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { ClockBound } from './hlc.ts'

/** An agent's clock bound in a file. It belongs to the shard: an agent that takes the shard over needs the same file. */
export function fileClockBound(path: string): ClockBound {
  return {
    async read() {
      const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return '0'
        throw error
      })
      return parseBound(text, path)
    },
    async persist(upperMs) {
      // Written whole, made durable, then put in place: a crash leaves the old one or the new one.
      const next = `${path}.new`
      const file = await open(next, 'w')
      try {
        await file.writeFile(`${upperMs}\n`)
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(next, path)
      const directory = await open(dirname(path), 'r')
      try {
        await directory.sync()
      } finally {
        await directory.close()
      }
    },
  }
}

/** One statement on the shard's own server, whose rows have columns by name. */
export type BoundQuery = (sql: string) => Promise<readonly Readonly<Record<string, unknown>>[]>

/**
 * An agent's clock bound in its shard (`weft.clock_bound`): it goes where the shard goes, also to a standby. Nothing
 * else may run on the connection at the same time.
 */
export function shardClockBound(query: BoundQuery): ClockBound {
  return {
    async read() {
      await query(
        `CREATE SCHEMA IF NOT EXISTS weft;
         CREATE TABLE IF NOT EXISTS weft.clock_bound (
           id int PRIMARY KEY DEFAULT 0 CHECK (id = 0), upper_ms bigint NOT NULL)`,
      )
      const [row] = await query('SELECT upper_ms::text AS upper_ms FROM weft.clock_bound')
      return parseBound(String(row?.upper_ms ?? '0'), 'weft.clock_bound')
    },
    async persist(upperMs) {
      // In one transaction with its own setting: the server's default may be not to wait for the disk.
      await query(
        `BEGIN; SET LOCAL synchronous_commit = on;
         INSERT INTO weft.clock_bound (upper_ms) VALUES (${Math.ceil(upperMs)})
         ON CONFLICT (id) DO UPDATE SET upper_ms = GREATEST(clock_bound.upper_ms, excluded.upper_ms);
         COMMIT`,
      )
    },
  }
}

function parseBound(text: string, where: string): number {
  const upperMs = Number(text.trim())
  if (!Number.isSafeInteger(upperMs) || upperMs < 0) throw new Error(`${where}: not a clock bound: ${text}`)
  return upperMs
}
