import { z } from 'zod'

/** What /api/status answers; the node makes it by these types, and `weft status` reads it by them. */

const problem = z.object({ gid: z.string(), why: z.string() }).readonly()

export const shardStatus = z.object({
  shard: z.int(),
  up: z.boolean(),
  error: z
    .string()
    .optional()
    .describe('Why it is not up. Of a shard that does not answer nothing else is known'),
  serverVersion: z.string().optional(),
  parameters: z.record(z.string(), z.string()).readonly().optional(),
  mapVersion: z.int().optional(),
  coordinators: z.array(z.string()).readonly().optional().describe('Ids of those that are connected'),
  poolSize: z.int().optional(),
  busy: z.int().optional().describe('Connections in use'),
  idle: z.int().optional(),
  waiting: z.int().optional().describe('Sessions that wait for a connection'),
  prepared: z.int().optional(),
  oldestPreparedSeconds: z
    .number()
    .optional()
    .describe('Since when the one is prepared that is so for longest; 0: none'),
  problems: z.array(problem).readonly().optional().describe('Transactions that no node can settle'),
})

const process = {
  pid: z.int(),
  uptimeSeconds: z.int(),
  transactionLog: z.string().optional().describe('reachable, or why it is not'),
  shards: z.array(shardStatus).readonly(),
}

const count = z.int()

/** What a coordinator tells once it serves. */
const serving = {
  waitsFor: z.string().optional().describe('Why it does not serve yet'),
  id: z.string().optional(),
  sessions: count.optional(),
  mapVersion: z.int().optional(),
  openTransactions: count.optional(),
  waitingTransactions: count.optional(),
  pinnedSessions: count.optional(),
  planCache: z
    .object({ hits: count, misses: count, evictions: count, size: count, textBytes: count })
    .optional(),
  longTexts: count.optional(),
  commits: z
    .object({
      committed: count,
      aborted: count,
      unknown: count,
      askedAgain: count,
      leftToRecovery: count,
      inFlight: count,
    })
    .optional(),
  cuts: z.object({ taken: count, readers: count, failed: count, raised: count }).optional(),
  memory: z.object({ nodeBytes: count, sessionBytes: count, usedBytes: count, refusals: count }).optional(),
  deadlockVictims: count.optional(),
}

export const nodeStatus = z.discriminatedUnion('role', [
  z.object({ role: z.literal('coordinator'), ...process, ...serving }),
  z.object({ role: z.literal('dev'), dataDir: z.string(), ...process, ...serving }),
  z.object({ role: z.literal('agent'), ...process }),
])

export type NodeStatus = z.infer<typeof nodeStatus>
export type ShardStatus = z.infer<typeof shardStatus>
