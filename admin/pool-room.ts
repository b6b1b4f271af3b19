/** Whether a server has room for the pool of its agent. PURE. */

export interface Misfit {
  readonly found: string
  readonly todo: string
}

/** What is asked for in pg_settings; values by name. */
export const ROOM_SETTINGS = [
  'max_prepared_transactions',
  'max_connections',
  'superuser_reserved_connections',
  'reserved_connections',
] as const

/** Beside the pool: the agent's hold of its shard, the log's connections on the home shard, somebody who looks. */
const CONNECTIONS_BESIDE = 5
/** As many as there are open may be prepared beside them, on their way to be committed. */
const PREPARED_PER_CONNECTION = 2

/** `poolSize`: connections of the agent; on the home shard the log has three beside them. */
export function misfits(settings: ReadonlyMap<string, string>, poolSize: number): Misfit[] {
  const number = (name: (typeof ROOM_SETTINGS)[number]): number => Number(settings.get(name) ?? 0)
  const found: Misfit[] = []
  const prepared = number('max_prepared_transactions')
  const needed = PREPARED_PER_CONNECTION * poolSize
  if (prepared < needed)
    found.push({
      found: `max_prepared_transactions is ${prepared}; ${needed} may be needed`,
      todo: 'Set it to 200 or so, and restart the server.',
    })
  const free =
    number('max_connections') - number('superuser_reserved_connections') - number('reserved_connections')
  if (free < poolSize + CONNECTIONS_BESIDE)
    found.push({
      found: `max_connections leaves ${free} connections; the pool takes ${poolSize}, and a few more are needed`,
      todo: 'Raise max_connections, or lower pool.size.',
    })
  return found
}
