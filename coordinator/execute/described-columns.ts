import { describe, parse, SYNC } from '../../protocol/wire/frontend-messages.ts'
import type { Column } from '../../sql/catalog.ts'
import type { PartText } from '../../sql/plan/gather/gather-plan.ts'
import { judgedText } from './answers/evaluate.ts'
import { type ExecContext, type Execution, HOME } from './context.ts'
import { Collector } from './shards/replies.ts'
import { queryShard, sendPayload, settled } from './shards/send.ts'

const ASIDE = { writes: false, looks: false }

/** The columns of what shards are going to compute for the client's statement, as home describes them. It is not run. */
export async function describedColumns(
  ctx: ExecContext,
  exec: Execution,
  { sql, params }: PartText,
): Promise<readonly Column[]> {
  const line = ctx.line(HOME)
  const collector = new Collector()
  const types = line.typesHere(params.map((n) => exec.paramTypes[n - 1] ?? 0))
  // What is wrong with the client's own text is told as if it ran as it is.
  const judged = parse('', judgedText(exec), line.typesHere(exec.paramTypes))
  const asked = [judged, parse('', sql, types), describe('S', ''), SYNC]
  sendPayload(ctx, line, Buffer.concat(asked), ASIDE, collector)
  const { columns } = await settled(ctx, line, collector.ended)
  const list = (numbers: readonly number[]) => `{${numbers.join(',')}}`
  const oids = columns.map(({ typeOid }) => typeOid)
  const typmods = columns.map(({ typmod }) => typmod)
  const { rows } = await queryShard(ctx, line, TYPES, [list(oids), list(typmods)], ASIDE)
  return rows.map(([type, declared], i) => ({
    name: columns[i]!.name,
    type: type!.toString('utf8'),
    typeOid: oids[i]!,
    ...(declared == null ? {} : { declared: declared.toString('utf8') }),
    notNull: false,
    usesSequence: false,
    generated: false,
  }))
}

const TYPES = `
SELECT pg_catalog.format_type(o, NULL), CASE WHEN m >= 0 THEN pg_catalog.format_type(o, m) END
FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.oid[]), pg_catalog.unnest($2::pg_catalog.int4[]))
  WITH ORDINALITY AS t (o, m, n) ORDER BY n`
