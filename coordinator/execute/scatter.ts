import { weftError } from '../../errors/catalog.ts'
import { noticeResponse } from '../../protocol/wire/backend-messages.ts'
import type { ShardedName } from '../../sql/plan/plan.ts'
import { scatterOf } from '../settings/several-shards.ts'
import type { ExecContext } from './context.ts'

/** A statement is about to go to several shards: says so, or refuses it, where `weft.scatter` asks for that. */
export function noteScatter(
  ctx: ExecContext,
  tables: readonly ShardedName[] | undefined,
  shards: { readonly length: number },
): void {
  if (tables === undefined || shards.length < 2) return
  const scatter = scatterOf(ctx.settings)
  if (scatter === 'allow') return
  const error = weftError('scatters', { shards: shards.length, tables })
  if (scatter === 'refuse') throw error
  const { message, hint } = error.fields
  const isHeard = !QUIET.has(ctx.settings.get('client_min_messages')?.toLowerCase() ?? '')
  if (isHeard) ctx.out.push(noticeResponse({ severity: 'NOTICE', code: '00000', message, hint }))
}

/** Values of `client_min_messages` with which a NOTICE is not sent. */
const QUIET: ReadonlySet<string> = new Set(['warning', 'error'])
