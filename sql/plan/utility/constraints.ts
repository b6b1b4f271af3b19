import type { ColumnDef, Constraint } from '@pgsql/types'
import type { Relation } from '../../catalog.ts'
import { as, type Node, strings } from '../../parse/ast.ts'
import { unsupported } from './plans.ts'
import { type Name, nameOf, printed, resolve, resolveDistributed, type Scope } from './scope.ts'

/** The table that constraints are (to be) on. */
export interface Target {
  readonly name: Name
  readonly kind: 'sharded' | 'reference' | 'local'
  /** Sharded only. */
  readonly key?: string
  /** Colocation group; undefined when it is a new one that no table is in yet. */
  readonly colocation?: number | undefined
}

/** A constraint with the columns it is on; those of a column constraint are that column. */
export interface Placed {
  readonly constraint: Constraint
  readonly columns: readonly string[]
}

/** Constraints of a column definition. */
export function columnConstraints(column: ColumnDef | undefined): Placed[] {
  return (column?.constraints ?? []).flatMap((node) => {
    const constraint = as(node, 'Constraint')
    return constraint === undefined ? [] : [{ constraint, columns: [column?.colname ?? ''] }]
  })
}

/** A constraint of the table itself. */
export function tableConstraint(node: Node | undefined): Placed[] {
  const constraint = as(node, 'Constraint')
  if (constraint === undefined) return []
  const list = constraint.contype === 'CONSTR_FOREIGN' ? constraint.fk_attrs : constraint.keys
  return [{ constraint, columns: strings(list) }]
}

/** Throws when the shards cannot enforce a constraint, each on its own. */
export function checkConstraints(scope: Scope, target: Target, placed: readonly Placed[]): void {
  for (const { constraint, columns } of placed) {
    switch (constraint.contype) {
      case 'CONSTR_PRIMARY':
      case 'CONSTR_UNIQUE':
        // USING INDEX: the index was checked when it was made.
        if (constraint.indexname === undefined) checkUnique(target, columns)
        break
      case 'CONSTR_EXCLUSION':
        checkUnique(target, equalityColumns(constraint))
        break
      case 'CONSTR_FOREIGN':
        checkForeignKey(scope, target, constraint, columns)
    }
  }
}

/** A shard sees only its own rows: equal values must be on one shard, so the shard key has to be among them. */
export function checkUnique(target: Target, columns: readonly string[]): void {
  if (target.key === undefined || columns.includes(target.key)) return
  throw unsupported(
    'unique_without_key',
    `a unique, primary key or exclusion constraint on sharded table "${printed(target.name)}" must include its shard key "${target.key}"`,
    'Each shard checks uniqueness among its own rows only. Add the shard key to the constraint ' +
      '(with the = operator in EXCLUDE), or make it a reference table.',
  )
}

function equalityColumns(constraint: Constraint): string[] {
  return (constraint.exclusions ?? []).flatMap((node) => {
    const [element, operator] = as(node, 'List')?.items ?? []
    const column = as(element, 'IndexElem')?.name
    const isEquality = strings(as(operator, 'List')?.items).at(-1) === '='
    return column !== undefined && isEquality ? [column] : []
  })
}

function checkForeignKey(scope: Scope, target: Target, fk: Constraint, columns: readonly string[]): void {
  const name = nameOf(fk.pktable)
  const isSelf = isSameTable(scope, target.name, name)
  const other = isSelf ? undefined : resolveDistributed(scope, name)
  const otherKind = isSelf ? target.kind : kindOfTable(other)
  const between = `a foreign key from ${target.kind} table "${printed(target.name)}" to ${otherKind} table "${printed(name)}"`
  if (target.kind === 'local') {
    if (otherKind === 'sharded')
      throw unsupported('foreign_key_to_part', `${between} is not supported`, `The home shard ${ONLY_ITS}`)
    return
  }
  if (otherKind === 'local') {
    throw unsupported(
      'foreign_key_to_part',
      `${between} is not supported`,
      `A local table is on the home shard only. Make "${printed(name)}" a reference table first.`,
    )
  }
  if (target.kind === 'reference') {
    if (otherKind === 'sharded')
      throw unsupported('foreign_key_to_part', `${between} is not supported`, `A shard ${ONLY_ITS}`)
    return
  }
  if (otherKind === 'sharded') checkColocated(target, fk, columns, between, other)
  checkActions(target, fk, columns, otherKind)
}

function kindOfTable(table: Relation | undefined): Target['kind'] {
  if (table === undefined) return 'local'
  return table.kind === 'sharded' ? 'sharded' : 'reference'
}

const ONLY_ITS = 'has only its own part of a sharded table.'

/** Referencing rows must be on the shard of the rows they refer to. */
function checkColocated(
  target: Target,
  fk: Constraint,
  columns: readonly string[],
  between: string,
  /** Undefined: the table refers to itself. */
  other: Relation | undefined,
): void {
  if (other !== undefined && (target.colocation === undefined || target.colocation !== other.colocation)) {
    throw unsupported(
      'foreign_key_across_shards',
      `${between} is not supported unless they are colocated`,
      `Declare the table with colocate_with = '${other.name}'.`,
    )
  }
  const otherKey = other === undefined ? target.key : other.key?.column
  const at = columns.indexOf(target.key ?? '')
  // Without a list the primary key is meant; of one column it must be the shard key.
  const referenced = fk.pk_attrs === undefined ? (other?.primaryKey ?? []) : strings(fk.pk_attrs)
  const matches =
    referenced.length === 0 ? at >= 0 && columns.length === 1 : at >= 0 && referenced[at] === otherKey
  if (matches) return
  throw unsupported(
    'foreign_key_across_shards',
    `${between} is not supported unless shard key refers to shard key`,
    `"${target.key}" must be among its columns, in the place of "${otherKey}" of the referenced table; ` +
      'name the referenced columns.',
  )
}

/** What the other table's changes do to the rows must not move them: their shard key stays as it is. */
function checkActions(
  target: Target,
  fk: Constraint,
  columns: readonly string[],
  otherKind: 'sharded' | 'reference',
): void {
  if (!columns.includes(target.key ?? '')) return
  const setByDelete =
    fk.fk_del_set_cols === undefined || strings(fk.fk_del_set_cols).includes(target.key ?? '')
  const onDelete = (fk.fk_del_action === 'n' || fk.fk_del_action === 'd') && setByDelete
  // The shard key of a sharded table never changes: only a reference table's row can pass an update on.
  const onUpdate = ['n', 'd', ...(otherKind === 'reference' ? ['c'] : [])].includes(fk.fk_upd_action ?? '')
  if (!onDelete && !onUpdate) return
  throw unsupported(
    'foreign_key_changes_key',
    `a foreign key whose ON ${onDelete ? 'DELETE' : 'UPDATE'} action changes shard key "${target.key}" is not supported`,
    onDelete ? 'Use ON DELETE CASCADE, RESTRICT or NO ACTION.' : 'Use ON UPDATE RESTRICT or NO ACTION.',
  )
}

function isSameTable(scope: Scope, a: Name, b: Name): boolean {
  if (a.name !== b.name) return false
  if (a.schema === b.schema) return true
  const first = resolve(scope, a)
  if (first !== undefined) return first === resolve(scope, b)
  return (a.schema ?? b.schema) === scope.ctx.searchPath[0]
}
