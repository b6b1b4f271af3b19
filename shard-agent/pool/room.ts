import { misfits, ROOM_SETTINGS } from '../../admin/pool-room.ts'
import type { CommandReply } from './command.ts'

interface WarnLog {
  warn(fields: object, message: string): void
}

/** Says at the start of an agent, in a line each, where its server has no room for the pool. Never rejects. */
export async function warnOfRoom(
  { shard, log }: { readonly shard: number; readonly log: WarnLog },
  poolSize: number,
  run: (sql: string) => Promise<CommandReply>,
): Promise<void> {
  const names = ROOM_SETTINGS.map((name) => `'${name}'`).join(', ')
  try {
    const { rows } = await run(`SELECT name, setting FROM pg_catalog.pg_settings WHERE name IN (${names})`)
    const settings = new Map(rows.map(([name, value]) => [String(name), String(value)]))
    for (const { found, todo } of misfits(settings, poolSize)) log.warn({ shard, todo }, `agent: ${found}`)
  } catch (err) {
    log.warn({ shard, err }, 'agent: could not tell whether its server has room for the pool')
  }
}
