import type { ExplainPlan } from '../../../sql/plan/plan.ts'
import { explainedAt, explainWords } from '../../../sql/plan/utility/explain.ts'
import { KeptRows } from '../answers/kept-rows.ts'
import type { ExecContext, Execution } from '../context.ts'
import { Collector } from '../shards/replies.ts'
import { sendPayload, settled } from '../shards/send.ts'
import { instead, withoutPortal } from '../steps/instead.ts'
import type { ServerPlan, WeftNode } from './explain-node.ts'
import { textsOf } from './several.ts'
import { Trace, type TracedExec } from './trace.ts'

/** Of so many requests to shards the plans are shown; of others what they took. */
const PLANS_MAX = 100

/**
 * Runs a statement as it always runs, and tells what was sent to which shard for that, how much came back, and how long it
 * took; below that, the plan that the shard makes of it.
 */
export async function tracedNode(ctx: ExecContext, exec: Execution, plan: ExplainPlan): Promise<WeftNode> {
  const { execs, rows } = await traced(ctx, exec)
  const below: WeftNode[] = []
  for (const [i, group] of grouped(execs).entries()) below.push(await stepNode(ctx, plan, group, i))
  const { tag } = plan.inner
  return {
    type: 'Weft Statement',
    title: `Weft ${tag}, step by step (actual rows=${rows})`,
    notes: [],
    properties: { Operation: tag, 'Actual Rows': rows, 'Actual Loops': 1 },
    below,
  }
}

interface Traced {
  readonly execs: readonly TracedExec[]
  /** Those that the statement gave. */
  readonly rows: number
}

async function traced(ctx: ExecContext, exec: Execution): Promise<Traced> {
  const trace = new Trace()
  const counted = new CountedRows(ctx.memory.account('rows that are not kept'))
  const text = exec.text.slice(explainedAt(exec.text))
  ctx.state.trace = trace
  try {
    await ctx.out.unheard(counted, () => instead(ctx, withoutPortal(exec), text, false))
  } finally {
    ctx.state.trace = undefined
  }
  return { execs: trace.execs, rows: counted.count }
}

/** As EXPLAIN ANALYZE gives no rows, none are kept. */
class CountedRows extends KeptRows {
  count = 0
  override add(): void {
    this.count++
  }
}

/** What is done on several shards is one step. */
function grouped(execs: readonly TracedExec[]): (readonly TracedExec[])[] {
  const groups: TracedExec[][] = []
  for (const exec of execs) {
    const last = groups.at(-1)
    const isSame = last?.[0]?.doing === exec.doing && !last.some(({ shard }) => shard === exec.shard)
    if (last !== undefined && isSame) last.push(exec)
    else groups.push([exec])
  }
  return groups
}

async function stepNode(
  ctx: ExecContext,
  plan: ExplainPlan,
  execs: readonly TracedExec[],
  step: number,
): Promise<WeftNode> {
  const below: ServerPlan[] = []
  for (const exec of execs) {
    const isShown = step + below.length < PLANS_MAX
    const rows = isShown ? await planOn(ctx, plan, exec) : []
    below.push({
      title: `Shard ${exec.shard} (${measured(plan, exec)})`,
      properties: propertiesOf(plan, exec),
      rows,
    })
  }
  const { doing } = execs[0]!
  const shards = execs.map(({ shard }) => shard)
  return {
    type: 'Weft Step',
    title: `${doing}, on ${shards.length === 1 ? 'shard' : 'shards'} ${shards.join(', ')}`,
    notes: [],
    properties: { Task: doing, Shards: shards },
    below,
  }
}

function measured({ showsTimes }: ExplainPlan, { rows, rowBytes, sentBytes, ms }: TracedExec): string {
  const time = showsTimes ? ` time=${ms.toFixed(3)} ms` : ''
  return `actual rows=${rows} bytes=${rowBytes} sent=${sentBytes}${time}`
}

function propertiesOf({ showsTimes }: ExplainPlan, { shard, rows, rowBytes, sentBytes, ms }: TracedExec) {
  return {
    Shard: shard,
    'Actual Rows': rows,
    'Actual Loops': 1,
    'Received Bytes': rowBytes,
    'Sent Bytes': sentBytes,
    ...(showsTimes ? { 'Actual Total Time': Number(ms.toFixed(3)) } : {}),
  }
}

async function planOn(ctx: ExecContext, plan: ExplainPlan, exec: TracedExec): Promise<readonly string[]> {
  const format = plan.format === 'text' ? {} : { format: 'json' }
  const payload = exec.explaining(explainWords(plan.options, { analyze: 'false', ...format }))
  if (payload === undefined) return []
  const line = ctx.line(exec.shard)
  const collector = new Collector()
  sendPayload(ctx, line, payload, { writes: false, looks: false }, collector)
  return textsOf((await settled(ctx, line, collector.ended)).rows)
}
