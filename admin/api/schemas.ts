import { z } from 'zod'

/** What the admin API takes and gives; /docs is made of it. Names that are here stay, new ones may come. */
export const session = z.object({
  pid: z.int(),
  user: z.string().nullable(),
  application: z.string().nullable(),
  state: z.string().nullable(),
  waits_for: z.string().nullable(),
  since: z.string().nullable().describe('When its statement, or its state, began'),
  transaction_since: z.string().nullable(),
  query: z.string().nullable(),
})

export const shard = z.object({
  shard: z.int(),
  up: z.boolean(),
  error: z.string().optional(),
  server_version: z.string(),
  slots: z.int(),
  slot_share: z.number().describe('Of all slots, from 0 to 1'),
  slot_ranges: z.string(),
  bytes: z.int().nullable().describe('Of its part of the sharded tables, with indexes'),
  skew: z.number().nullable().describe('1: as many bytes as its slots would have on the average'),
  pool_size: z.int(),
  busy: z.int(),
  idle: z.int(),
  waiting: z.int(),
  prepared: z.int(),
  problems: z.array(z.object({ gid: z.string(), why: z.string() })),
})

export const table = z.object({
  schema: z.string(),
  table: z.string(),
  kind: z.enum(['sharded', 'reference', 'local']),
  shard_key: z.string().nullable(),
  colocation: z
    .int()
    .nullable()
    .describe('Tables with the same number have rows of the same key on the same shard'),
  bytes: z.int().nullable(),
})

export const tableParts = table.extend({
  parts: z.array(
    z.object({ shard: z.int(), rows: z.int().describe('As of the last ANALYZE'), bytes: z.int() }),
  ),
})

const outcome = z.enum(['commit', 'abort', 'undecided', 'coordinator gone', 'unreadable'])

export const transaction = z.object({
  transaction: z.string(),
  log: outcome.describe('What the log says. coordinator gone: no decision, and there never will be a commit'),
  prepared_on: z.array(z.int()),
  prepared_at: z.string(),
  age_seconds: z.number(),
  owner: z.string(),
})

export const resolved = z.object({ transaction: z.string(), log: outcome, prepared_on: z.array(z.int()) })

export const change = z.object({ done: z.boolean(), what: z.string() })

export const finding = z.object({
  severity: z.enum(['error', 'warning']),
  about: z.string(),
  found: z.string(),
  todo: z.string(),
})

export const auditLine = z.object({
  at: z.string(),
  actor: z.string(),
  address: z.string(),
  action: z.string(),
  target: z.string(),
  result: z.string(),
})

const count = z.int()
export const statement = z.object({
  query: z.string().describe('Without its values'),
  kind: z.string(),
  route: z.string(),
  calls: count,
  total_ms: z.number(),
  mean_ms: z.number(),
  rows: count,
  shards: count.describe('That were asked, in all calls'),
})

export const wait = z.object({
  pid: z.int(),
  blocked_by: z.array(z.int()).describe('Sessions; 0: a transaction that is prepared'),
})

export const logRecord = z.object({
  transaction: z.string(),
  decision: z.enum(['commit', 'abort']),
  at: z.string().nullable().describe('Of the commit; null for an abort'),
  participants: z.array(z.int()).describe('Shards that prepared; none where recovery wrote it'),
})

export const move = z.object({
  table: z.string(),
  rows_moved: count.describe('That have left the home shard'),
  rows: count.nullable().describe('That the table had there at the last ANALYZE; null: not known'),
})

export const settings = z.object({
  node: z.record(z.string(), z.unknown()).describe('Its configuration; what is secret is hidden'),
  servers: z.array(
    z.object({
      shard: z.int(),
      error: z.string().optional(),
      settings: z.record(z.string(), z.string()),
    }),
  ),
})

export const top = z.object({
  at: z.string(),
  sessions: z.int(),
  running: z
    .array(session.extend({ seconds: z.number().nullable().describe('Since its statement began') }))
    .describe('The longest first'),
  transactions: z
    .array(session.extend({ seconds: z.number().nullable().describe('Since its transaction began') }))
    .describe('Open, and nothing runs in them; the longest first'),
  prepared: z.int().describe('Transactions that are prepared on some shard'),
  statements: z.array(statement).describe('By total time, since weft.stat_statements_reset()'),
})

export const overview = z.object({
  at: z.string(),
  coordinators: z.array(
    z.object({ id: z.string(), shards: z.array(z.int()).describe('Whose agents it is connected to') }),
  ),
  shards: z.array(
    z.object({
      shard: z.int(),
      up: z.boolean(),
      error: z.string().optional(),
      server_version: z.string(),
      busy: z.int().describe('Postgres connections in use'),
      idle: z.int(),
      waiting: z.int().describe('Sessions that wait for one'),
      prepared: z.int().describe('Transactions that are prepared'),
      standbys: z.int().nullable().describe('That follow its server; null: not known'),
      lag_bytes: z.int().nullable().describe('What the one that is furthest behind has not replayed'),
      lag_seconds: z.number().nullable().describe('How old that is, as it says; null: nothing to replay'),
    }),
  ),
  sessions: z
    .object({ all: z.int(), active: z.int(), in_transaction: z.int() })
    .nullable()
    .describe('null: the home shard does not answer'),
  in_doubt: z.object({
    transactions: z.int().nullable().describe('That are prepared on some shard; null: one does not answer'),
    oldest_seconds: z.number().nullable(),
    problems: z.int().describe('That no node can settle: see weft doctor'),
  }),
  log: z.object({
    records: z.int().nullable().describe('Decisions that some shard has still to carry out; 1000 at most'),
  }),
})

export const explained = z.object({
  statements: z.array(
    z.object({
      line: z.int(),
      statement: z.string(),
      tag: z.string(),
      reach: z
        .enum(['local', 'one', 'some', 'all', 'moves', 'refused'])
        .describe(
          'local: home shard, or none; some: shards of several keys; moves: rows travel between servers first',
        ),
      why: z.string(),
      id: z.string().optional().describe('Of a refusal in docs/sql.md, or a SQLSTATE'),
      hint: z.string().optional(),
      steps: z
        .array(z.object({ depth: z.int(), what: z.string(), sql: z.string().optional() }))
        .optional()
        .describe('How it is run, as a tree: each step before, and less deep than, those that it needs'),
    }),
  ),
  totals: z.object({ local: count, one: count, some: count, all: count, moves: count, refused: count }),
})

export const progress = z.object({
  rows_moved: z.int().nullable().describe('That have left the home shard; null: none is being moved'),
  rows: z.int().nullable().describe('That the table had there at the last ANALYZE; null: not known'),
})

export const whoami = z.object({
  name: z.string(),
  role: z.enum(['viewer', 'admin']),
  login: z.boolean().describe('false: nobody needs a token here'),
  node: z
    .enum(['cluster', 'agent'])
    .describe('agent: of its own shards only, coordinators answer for the cluster'),
})

const counted = z.object({
  at: z.string(),
  statements: z
    .object({ local: count, one: count, some: count, all: count, moves: count })
    .describe('That ran, by how far they reached'),
  latency: z.array(count).describe('Statements by time: up to each bound, and above all of them'),
  errors: count,
  refusals: count,
  commits: z.object({ committed: count, aborted: count, unknown: count }).describe('Over several shards'),
  cuts: z.object({ taken: count, failed: count }),
  deadlock_victims: count,
  sessions: count,
  transactions: z.object({ open: count, waiting: count }),
  shards: z.array(
    z.object({
      shard: z.int(),
      up: z.boolean(),
      busy: count.describe('Postgres connections in use'),
      waiting: count.describe('Sessions that wait for one'),
      prepared: count.describe('Transactions that are prepared, and not carried out'),
    }),
  ),
})

/** Counters are those since the node's start: rates are the differences of two samples. */
export const history = z.object({
  every_ms: z.int(),
  bounds: z.array(z.number()).describe('Of latency, in seconds'),
  samples: z.array(counted).describe('Of this node, the oldest first'),
})

export const failure = z.object({
  error: z.object({ message: z.string(), hint: z.string().optional(), sqlstate: z.string().optional() }),
})

export const pid = z.object({
  pid: z.coerce
    .number()
    .int()
    .min(1)
    .max(2 ** 31 - 1),
})
export const shardId = z.object({ shard: z.coerce.number().int().min(0).max(1023) })
export const txnId = z.object({
  transaction: z.string().regex(/^[0-9a-z]{1,32}-[0-9a-z]{1,12}-[0-9a-z]{1,12}$/),
})
export const tableName = z.object({ table: z.string().min(1).max(200).describe('name, or schema.name') })
export const shardBy = z.object({
  key: z.string().min(1).max(63),
  colocate_with: z.string().max(200).optional(),
})
export const fileText = z.object({
  text: z.string(),
  search_path: z.array(z.string().min(1).max(63)).max(100).default(['public']),
})
export const since = z.object({ since: z.iso.datetime().optional().describe('Samples after this one') })
export const limit = z.object({ limit: z.coerce.number().int().min(1).max(1000).default(100) })

export type Session = z.infer<typeof session>
export type Overview = z.infer<typeof overview>
export type Shard = z.infer<typeof shard>
export type Table = z.infer<typeof table>
export type TableParts = z.infer<typeof tableParts>
export type TransactionInfo = z.infer<typeof transaction>
export type Resolved = z.infer<typeof resolved>
export type Change = z.infer<typeof change>
export type Finding = z.infer<typeof finding>
export type Progress = z.infer<typeof progress>
export type Top = z.infer<typeof top>
export type ExplainedFile = z.infer<typeof explained>
export type Statement = z.infer<typeof statement>
export type Wait = z.infer<typeof wait>
export type LogRecord = z.infer<typeof logRecord>
export type Move = z.infer<typeof move>
export type Settings = z.infer<typeof settings>
export type Whoami = z.infer<typeof whoami>
export type Sample = z.infer<typeof counted>
export type History = z.infer<typeof history>
export type Failure = z.infer<typeof failure>
export type AuditLine = z.infer<typeof auditLine>
