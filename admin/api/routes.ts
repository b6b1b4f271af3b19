import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify'
import { z } from 'zod'
import { AdminError } from '../admin-error.ts'
import { type AuditLog, audited } from '../audit.ts'
import type { Actor, AdminRole, Guard } from '../auth.ts'
import type { ClusterAccess } from '../cluster-access.ts'
import { doctor } from './doctor.ts'
import { explainFile } from './explain.ts'
import { overview } from './overview.ts'
import * as schemas from './schemas.ts'
import { sessions, signal, waits } from './sessions.ts'
import { declare, distribute, moves, progress, shards, tableParts, tables } from './tables.ts'
import { statements, top } from './top.ts'
import { resolve, transaction, transactions } from './transactions.ts'

export interface ApiOptions {
  readonly guard: Guard
  /** Undefined until the coordinator serves. */
  readonly cluster: () => ClusterAccess | undefined
  readonly log: AuditLog
}

interface Read<P, R> {
  readonly summary: string
  readonly params?: z.ZodType<P>
  readonly answer: z.ZodType<R>
  run(cluster: ClusterAccess, params: P): Promise<R>
}

interface Write<P, B, R> extends Omit<Read<P, R>, 'run'> {
  /** What the audit calls it. */
  readonly action: string
  readonly body?: z.ZodType<B>
  target(params: P): string
  /** `signal`: whoever asked is gone. */
  run(cluster: ClusterAccess, params: P, body: B, signal: AbortSignal): Promise<R>
}

/** Reads need the role viewer, changes the role admin; each change leaves a line in the log and in weft.audit. */
export function apiRoutes(app: FastifyInstance, options: ApiOptions): void {
  const read = <P, R>(url: string, route: Read<P, R>): void => {
    add(app, options, 'viewer', { method: 'GET', url }, route, (cluster, request) =>
      route.run(
        cluster,
        checked(route.params, { ...(request.query as object), ...(request.params as object) }),
      ),
    )
  }
  const write = <P, B, R>(url: string, route: Write<P, B, R>): void => {
    add(app, options, 'admin', { method: 'POST', url }, route, (cluster, request, actor) => {
      const params = checked(route.params, request.params)
      const body = checked(route.body, request.body ?? {})
      const { action } = route
      const change = { actor, address: request.ip, action, target: route.target(params) }
      return whileAsked(request, (signal) =>
        audited(cluster, options.log, change, () => route.run(cluster, params, body, signal)),
      )
    })
  }
  add(
    app,
    options,
    'viewer',
    { method: 'POST', url: '/api/explain', bodyLimit: FILE_BYTES_MAX },
    EXPLAIN,
    (cluster, request, actor) =>
      whileAsked(request, (signal) =>
        explainFile(cluster, checked(EXPLAIN.body, request.body), actor, signal),
      ),
  )
  reads(read)
  progressReads(read)
  liveReads(read)
  writes(write)
}

/** Changes nothing, and is no GET because of the file. */
const FILE_BYTES_MAX = 8 << 20
const EXPLAIN = {
  summary: 'How the statements of a file would be run: on one shard, on several, or not at all; runs none',
  body: schemas.fileText,
  answer: schemas.explained,
}

/** Does what stops when whoever asks is gone. */
async function whileAsked<T>(
  { raw: { socket } }: FastifyRequest,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const gone = new AbortController()
  const stop = (): void => gone.abort()
  socket.once('close', stop)
  if (socket.destroyed) stop()
  try {
    return await work(gone.signal)
  } finally {
    socket.off('close', stop)
  }
}

type AddRead = <P, R>(url: string, route: Read<P, R>) => void
type AddWrite = <P, B, R>(url: string, route: Write<P, B, R>) => void

function reads(read: AddRead): void {
  const { pid: _, ...names } = schemas
  read('/api/sessions', {
    summary: 'Client sessions of all coordinators',
    answer: z.array(names.session),
    run: sessions,
  })
  read('/api/top', {
    summary: 'What runs now, on all coordinators, and the statements that took most of the time',
    answer: names.top,
    run: top,
  })
  read('/api/transactions', {
    summary: 'Transactions that are prepared on some shard',
    answer: z.array(names.transaction),
    run: transactions,
  })
  read('/api/transactions/:transaction', {
    summary: 'One transaction that is prepared',
    params: names.txnId,
    answer: names.transaction,
    run: (cluster, params) => transaction(cluster, params.transaction),
  })
  read('/api/shards', { summary: 'Shards, their slots and sizes', answer: z.array(names.shard), run: shards })
  read('/api/shards/:shard', {
    summary: 'One shard',
    params: names.shardId,
    answer: names.shard,
    run: async (cluster, params) => {
      const found = (await shards(cluster))[params.shard]
      if (found !== undefined) return found
      throw new AdminError(
        404,
        `there is no shard ${params.shard}`,
        `Shards are 0 to ${cluster.shardCount - 1}.`,
      )
    },
  })
  read('/api/tables', { summary: 'Tables, and how they are kept', answer: z.array(names.table), run: tables })
  read('/api/tables/:table', {
    summary: 'One table, and its part on each shard',
    params: names.tableName,
    answer: names.tableParts,
    run: (cluster, params) => tableParts(cluster, params.table),
  })
  read('/api/doctor', {
    summary: 'What is wrong, or will be, and what to do',
    answer: z.array(names.finding),
    run: doctor,
  })
  read('/api/audit', {
    summary: 'The last changes made through this API',
    params: names.limit,
    answer: z.array(names.auditLine),
    run: async (cluster, { limit }) => {
      const rows = await cluster.onShard(
        0,
        `SELECT at, actor, address, action, target, result FROM weft.audit ORDER BY id DESC LIMIT ${limit}`,
      )
      const fields = ['at', 'actor', 'address', 'action', 'target', 'result'] as const
      return rows.map(
        (row) => Object.fromEntries(fields.map((name, i) => [name, row[i] ?? ''])) as schemas.AuditLine,
      )
    },
  })
}

function progressReads(read: AddRead): void {
  read('/api/tables/:table/progress', {
    summary: 'How far it is, while a table becomes a sharded or a reference table',
    params: schemas.tableName,
    answer: schemas.progress,
    run: (cluster, params) => progress(cluster, params.table),
  })
}

/** What the console looks at again and again. */
function liveReads(read: AddRead): void {
  read('/api/cluster', {
    summary: 'The cluster at a glance: coordinators, shards, lag of standbys, what is in doubt',
    answer: schemas.overview,
    run: overview,
  })
  read('/api/waits', {
    summary: 'Sessions that wait for locks, and whose those are',
    answer: z.array(schemas.wait),
    run: waits,
  })
  read('/api/statements', {
    summary: 'Statements by fingerprint, those first that took most time',
    params: schemas.limit,
    answer: z.array(schemas.statement),
    run: (cluster, { limit }) => statements(cluster, limit),
  })
  read('/api/log', {
    summary:
      'The transaction log: decisions that some shard has still to carry out, and aborts that are kept',
    params: schemas.limit,
    answer: z.array(schemas.logRecord),
    run: async (cluster, { limit }) =>
      (await cluster.records(limit)).map((one) => ({ ...one, participants: [...one.participants] })),
  })
  read('/api/moves', {
    summary: 'Tables whose rows are being moved',
    answer: z.array(schemas.move),
    run: moves,
  })
}

function writes(write: AddWrite): void {
  for (const what of ['cancel', 'kill'] as const) {
    write(`/api/sessions/:pid/${what}`, {
      summary: what === 'cancel' ? 'Cancels the statement of a session' : 'Ends a session',
      action: `session.${what}`,
      params: schemas.pid,
      answer: schemas.change,
      target: ({ pid }) => String(pid),
      run: (cluster, { pid }) => signal(cluster, pid, what),
    })
  }
  write('/api/transactions/:transaction/resolve', {
    summary: 'Settles a transaction that is prepared, by the rules of recovery',
    action: 'txn.resolve',
    params: schemas.txnId,
    answer: schemas.resolved,
    target: (params) => params.transaction,
    run: (cluster, params) => resolve(cluster, params.transaction),
  })
  write('/api/tables/:table/shard', {
    summary: 'Makes a table sharded, with its rows, in one transaction',
    action: 'table.shard',
    params: schemas.tableName,
    body: schemas.shardBy,
    answer: schemas.change,
    target: ({ table }) => table,
    run: (cluster, { table }, body, signal) => distribute(cluster, table, body, signal),
  })
  for (const kind of ['reference', 'local'] as const) {
    write(`/api/tables/:table/${kind}`, {
      summary: `Makes a table a ${kind} table, with its rows, in one transaction`,
      action: `table.${kind}`,
      params: schemas.tableName,
      answer: schemas.change,
      target: ({ table }) => table,
      run: (cluster, { table }, _, signal) => declare(cluster, table, kind, signal),
    })
  }
}

function add(
  app: FastifyInstance,
  { guard, cluster }: ApiOptions,
  role: AdminRole,
  at: Pick<RouteOptions, 'method' | 'url' | 'bodyLimit'>,
  {
    summary,
    params,
    answer,
    body,
  }: { summary: string; params?: z.ZodType; answer: z.ZodType; body?: z.ZodType },
  handle: (cluster: ClusterAccess, request: FastifyRequest, actor: Actor) => Promise<unknown>,
): void {
  const isPath = at.url.includes(':')
  const taken =
    params === undefined ? {} : { [isPath ? 'params' : 'querystring']: jsonSchema(params, 'input') }
  app.route({
    ...at,
    schema: {
      ...{
        summary,
        tags: [role],
        ...taken,
        ...(body === undefined ? {} : { body: jsonSchema(body, 'input') }),
      },
      response: { 200: jsonSchema(answer, 'output'), default: jsonSchema(schemas.failure, 'output') },
    },
    // Checked by zod: one place says what is wrong, in the same words.
    validatorCompiler: () => () => true,
    handler: async (request, reply) => {
      const actor = guard.admit(request, role)
      const served = cluster()
      if (served === undefined) throw new AdminError(503, 'this node does not serve yet', 'See /readyz.')
      return reply.send(await handle(served, request, actor))
    },
  })
}

export function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): object {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, target: 'draft-7', unrepresentable: 'any' })
  return rest
}

export function checked<T>(schema: z.ZodType<T> | undefined, value: unknown): T {
  if (schema === undefined) return undefined as T
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const [issue] = result.error.issues
  throw new AdminError(
    400,
    `${issue?.path.join('.') || 'the request'}: ${issue?.message ?? 'not understood'}`,
  )
}
