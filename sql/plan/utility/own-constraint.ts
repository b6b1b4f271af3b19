import type { AlterTableCmd, CreateStmt, RenameStmt } from '@pgsql/types'
import { SLOT_GUARD } from '../../install/slot-guard.ts'
import { as, type Node } from '../../parse/ast.ts'
import { unsupported } from './plans.ts'
import { listItems, replace, tokensOf } from './text.ts'

/** What clients say about the constraint that Weft itself keeps on sharded tables (`install/slot-guard.ts`). */

const isOurs = (node: Node | undefined): boolean => as(node, 'Constraint')?.conname === SLOT_GUARD

export function bringsOwnConstraint(stmt: CreateStmt): boolean {
  return (stmt.tableElts ?? []).some(isOurs)
}

/**
 * A CREATE TABLE without it: a dump of a sharded table, or an ORM's copy of the schema, brings it along. Weft adds it
 * by itself to what is sharded, with the slots that each shard has.
 */
export function withoutOwnConstraint(text: string, stmt: CreateStmt): string {
  const elements = stmt.tableElts ?? []
  const tokens = tokensOf(text)
  const open = tokens.findIndex((t) => t.word === '(' && t.start >= (stmt.relation?.location ?? 0))
  const items = listItems(tokens, open + 1)
  const ours = elements.findIndex(isOurs)
  const item = items[ours]
  if (item === undefined) return text
  // Up to the next element, or from the end of the one before: the comma goes with it.
  const next = items[ours + 1]
  const previous = items[ours - 1]
  const range = next
    ? { start: item.start, end: next.start }
    : { start: previous?.end ?? item.start, end: item.end }
  return replace(text, range, '')
}

/** Bits of LIKE … INCLUDING: CONSTRAINTS. */
const LIKE_CONSTRAINTS = 4

/** The tables that LIKE … INCLUDING CONSTRAINTS (or ALL) takes constraints from. */
export function constraintsFrom(stmt: CreateStmt): Node[] {
  return (stmt.tableElts ?? []).flatMap((node) => {
    const like = as(node, 'TableLikeClause')
    const takes = like?.relation !== undefined && ((like.options ?? 0) & LIKE_CONSTRAINTS) !== 0
    return takes ? [{ RangeVar: like.relation! } as Node] : []
  })
}

const RESERVED = `constraint "${SLOT_GUARD}" is Weft's own: it keeps the rows of a sharded table on the shards they belong to`

/** ALTER TABLE … ADD, DROP, ALTER CONSTRAINT of it, on a table of any kind. VALIDATE is everybody's. */
export function refuseOwnConstraint(command: AlterTableCmd): void {
  const drops = command.subtype === 'AT_DropConstraint' || command.subtype === 'AT_AlterConstraint'
  const adds = command.subtype === 'AT_AddConstraint' && isOurs(command.def)
  if (!adds && !(drops && command.name === SLOT_GUARD)) return
  throw unsupported(
    'weft_object',
    `${RESERVED}, and can be neither added nor dropped`,
    'It comes with create_distributed_table(…) and goes with undistribute_table(…).',
  )
}

export function refuseRenamingOwn(stmt: RenameStmt): void {
  if (stmt.renameType !== 'OBJECT_TABCONSTRAINT') return
  if (stmt.subname !== SLOT_GUARD && stmt.newname !== SLOT_GUARD) return
  throw unsupported('weft_object', RESERVED, 'Use another name.')
}
