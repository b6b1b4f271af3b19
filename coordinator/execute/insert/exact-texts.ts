/** What INSERT … SELECT and MERGE insert goes to its shards as texts. Those of floating-point numbers may lack digits. */
import { weftError } from '../../../errors/catalog.ts'
import { FIRST_USER_OID } from '../../../sql/catalog.ts'
import type { MergeDraws } from '../../../sql/plan/gather/gather-plan.ts'
import type { InsertPlan, InsertSelectPlan } from '../../../sql/plan/plan.ts'
import { type ExecContext, HOME } from '../context.ts'
import { queryShard } from '../shards/send.ts'

/** float4, float8, what is made of these, and arrays of them. */
const OF_FLOATS: ReadonlySet<number> = new Set([
  600, 601, 602, 603, 604, 628, 700, 701, 718, 629, 719, 1017, 1018, 1019, 1020, 1021, 1022, 1027,
])

/** Types of users may be made of anything. */
const mayRound = ({ typeOid }: { readonly typeOid: number }): boolean =>
  OF_FLOATS.has(typeOid) || typeOid >= FIRST_USER_OID

/** Throws where the session's settings round what is written. */
export async function requireExactTexts(ctx: ExecContext, plan: InsertSelectPlan): Promise<void> {
  const column = plan.table.columns.find((one) => plan.columns.includes(one.name) && mayRound(one))
  if (column !== undefined) await requireDigits(ctx, 'INSERT … SELECT', column.name)
}

/** The same of what a MERGE computes ahead of the rows that it inserts. */
export async function requireExactDraws(ctx: ExecContext, { columns }: MergeDraws): Promise<void> {
  const rounded = columns.find(mayRound)
  if (rounded !== undefined) await requireDigits(ctx, 'a MERGE', rounded.column)
}

/** The same of a key that was computed ahead, to tell its shard. */
export async function requireExactKey(ctx: ExecContext, { keyType, table }: InsertPlan): Promise<void> {
  if (keyType === 'float4' || keyType === 'float8')
    await requireDigits(ctx, 'an INSERT of an expression', table.key?.column ?? '')
}

async function requireDigits(ctx: ExecContext, statement: string, column: string): Promise<void> {
  // Roles and databases may have it set too.
  const { rows } = await queryShard(ctx, ctx.line(HOME), 'SHOW extra_float_digits', [], { writes: false })
  if (Number(rows[0]?.[0]) < 1)
    throw weftError('not_supported', {
      id: 'inexact_text',
      what: `${statement} that may round "${column}", with extra_float_digits below 1, is not supported`,
      hint: 'SET extra_float_digits = 1.',
    })
}
