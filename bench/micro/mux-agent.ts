/** The agent's side of bench/micro/mux.ts; forked by it, an agent in a process of its own. */
import type { AgentLink } from '../../protocol/agent-link.ts'
import { type Agent, parsePostgresUrl, startAgent } from '../../shard-agent/main.ts'
import { MuxServer } from '../../shard-agent/server/mux-server.ts'
import { HlcClock } from '../../txn/hlc.ts'
import { MemoryTxnLog } from '../../txn/log/memory-txn-log.ts'

export const CLUSTER = 'bench'
const POOL_SIZE = 21
const log = { debug() {}, info() {}, warn: console.warn, error: console.error }
const clock = new HlcClock({ wallMs: Date.now, maxOffsetMs: 500 })

export function beginAgent(url: string): Promise<Agent> {
  return startAgent({
    ...{ shard: 0, postgres: parsePostgresUrl(url), cluster: CLUSTER, clock, log },
    txnLog: new MemoryTxnLog(),
    pool: { size: POOL_SIZE },
    takeoverTimeoutMs: 10_000,
  })
}

export async function serveAgent(agent: Agent): Promise<MuxServer> {
  const connect = (id: string): AgentLink => agent.connect(id)
  const server = new MuxServer({
    host: '127.0.0.1',
    port: 0,
    cluster: CLUSTER,
    shard: 0,
    connect,
    clock,
    log,
  })
  await server.listen()
  return server
}

/** True in the forked process only, whose main module this is. */
if (process.send !== undefined && process.argv[1]?.includes('mux-agent')) {
  const agent = await beginAgent(process.argv[2]!)
  const server = await serveAgent(agent)
  process.once('disconnect', () => void server.close().then(() => agent.stop()))
  process.send(server.port)
}
