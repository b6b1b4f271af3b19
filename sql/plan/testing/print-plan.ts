import type { Relation } from '../../catalog.ts'
import { BEGUN } from '../begun-text.ts'
import { type GatherPlan, isGathered } from '../gather/gather-plan.ts'
import { buildInsert } from '../insert-text.ts'
import type { ForwardPlan, InsertPlan, KeyRestriction, KeyValue, Plan, Route } from '../plan.ts'

/** A plan in a few lines, for the scripts in `testdata`. */
export function printPlan(plan: Plan, text: string): string {
  return [headline(plan), ...details(plan, text), ...commonLines(plan)].join('\n')
}

function headline(plan: Plan): string {
  switch (plan.kind) {
    case 'forward':
      return `forward ${plan.access} ${printRoute(plan.route)}${several(plan)}`
    case 'refused':
      return `refused ${plan.error.code}: ${plan.error.message}`
    case 'insert':
      return `insert into ${plan.table.name} key ${plan.keyType}`
    case 'insert-select':
      return `insert-select into ${plan.table.name} (${plan.columns.join(', ')}) key at ${keyAt(plan)}`
    case 'declare':
      return `declare ${plan.function} ${JSON.stringify(plan.args)}`
    case 'materialize':
      return `materialize ${plan.view} of ${plan.tables?.map(({ name }) => name).join(', ') ?? 'what home says'}`
    case 'setting':
      return `setting ${plan.verb} ${plan.name} viaFunction=${plan.viaFunction}`
    default:
      return plan.kind
  }
}

function several(plan: ForwardPlan): string {
  const { route, onSeveral } = plan
  const one = route.kind === 'keys' && route.restrictions.every((r) => r.values.length === 1)
  if (route.kind === 'home' || route.kind === 'any' || one) return ''
  return `, several: ${onSeveral.kind}`
}

function details(plan: Plan, text: string): string[] {
  switch (plan.kind) {
    case 'forward':
      return forwardLines(plan)
    case 'refused':
      return plan.error.fields.hint === undefined ? [] : [`hint: ${plan.error.fields.hint}`]
    case 'insert':
      return insertLines(plan, text)
    case 'insert-select':
      return [
        `select: ${plan.selectSql}`,
        ...(plan.source === undefined
          ? []
          : [`read: ${isGathered(plan.source) ? plan.source.kind : printRoute(plan.source)}`]),
        ...plan.fill.map((f) => `fill ${f.column} = ${f.expression}${f.isKey ? ' key' : ''}`),
        ...(plan.overriding ? ['overriding'] : []),
        ...(plan.tailSql === '' ? [] : [`tail: ${plan.tailSql}`]),
      ]
    default:
      return []
  }
}

/** What gathered rows are read from. */
const ROWS = /\(SELECT CAST\(c0 .*? AS u \([^)]*\)\)/g

function forwardLines(plan: ForwardPlan): string[] {
  const { route, onSeveral } = plan
  const lines: string[] = []
  if (route.kind === 'keys' && route.spread) lines.push(`spread: ${route.spread.message}`)
  if (plan.setsKey) lines.push(`sets the key to ${printValue(plan.setsKey.value)}`)
  if (several(plan) === '') return lines
  if (onSeveral.kind === 'refuse') lines.push(`why: ${onSeveral.error.message}`)
  if (onSeveral.kind === 'gather-outside') lines.push(`asks: ${onSeveral.relations.join(', ')}`)
  if (onSeveral.kind === 'gather') {
    lines.push(...gatherLines(onSeveral.gather, (sql) => sql))
    for (const { spread, gather, moves, stays } of onSeveral.spreads?.ways ?? []) {
      lines.push(`or ${moves.join()} spread to ${stays.join()}: ${spread.part.sql}`)
      lines.push(...gatherLines(gather, shown).map((line) => `  ${line}`))
    }
  }
  if (onSeveral.kind === 'aggregate') {
    const { partialSql, partialParams, combineSql } = onSeveral.aggregate
    lines.push(`partial: ${partialSql}${partialParams.length > 0 ? ` [${partialParams.join(',')}]` : ''}`)
    lines.push(`combine: ${combineSql}`)
  }
  return lines
}

const shown = (sql: string): string => sql.replace(/\s+/g, ' ').replace(ROWS, '<rows>')

function gatherLines({ part, first, finish }: GatherPlan, print: (sql: string) => string): string[] {
  const onFirst = first.sql === part.sql ? [] : [`first: ${print(first.sql)}`]
  return [`part: ${print(part.sql)}`, ...onFirst, `finish: ${shown(finish)}`]
}

function printRoute(route: Route): string {
  if (route.kind === 'cursor') return `where cursor ${route.name} stands`
  return route.kind === 'keys' ? `keys ${route.restrictions.map(printRestriction).join(' and ')}` : route.kind
}

function printRestriction({ keyType, values, assigned }: KeyRestriction): string {
  return `${keyType}${assigned ? ' := ' : ' in '}{${values.map(printValue).join(', ')}}`
}

function printValue({ source, castTo }: KeyValue): string {
  const cast = castTo === undefined ? '' : `::${castTo}`
  if (source.kind === 'param') return `$${source.number}${cast}`
  if (source.kind === 'constant') return `${source.value}${cast}`
  return `${source.negate ? '-' : ''}literal ${source.index}${cast}`
}

function insertLines(plan: InsertPlan, text: string): string[] {
  const lines = plan.rows.map((row) => {
    const { source } = row.key
    const slice = (r: { start: number; end: number }) => text.slice(r.start, r.end)
    const key =
      source.kind === 'expression'
        ? `expression ${slice(source)}`
        : source.kind === 'default'
          ? 'default'
          : printValue({ ...row.key, source })
    const defaults = row.defaults.map((d) => ` fill ${d.fill} at ${slice(d)}`).join('')
    return `row ${slice(row)} key ${key}${defaults}`
  })
  for (const f of plan.fill) {
    const how = `${f.isKey ? ' key' : ''}${f.appended ? ' appended' : ''}`
    lines.push(`fill ${f.column} = ${f.expression}${how}`)
  }
  return [...lines, ...builtLines(plan, text)]
}

/** The text with all rows, and with the last one only; values are named after their row and place. */
function builtLines(plan: InsertPlan, text: string): string[] {
  const values = {
    fills: plan.rows.map((_, row) => plan.fill.map((_, i) => `f${row}.${i}`)),
    keys: plan.rows.map((r, row) => (r.key.source.kind === 'expression' ? `k${row}` : undefined)),
  }
  const all = plan.rows.map((_, row) => row)
  const groups = all.length > 1 ? [all, all.slice(-1)] : [all]
  return groups.map((rows) => {
    const { sql, params } = buildInsert(plan, text, rows, values, plan.looks ? BEGUN : undefined)
    return `built: ${sql}${params.length > 0 ? ` [${params.join(',')}]` : ''}`
  })
}

function commonLines(plan: Plan): string[] {
  if (plan.kind === 'refused') return []
  const words: string[] = []
  if (plan.returnsRows) words.push('rows')
  if (!plan.generic) words.push('not generic')
  if (plan.paramsToDescribe.length > 0)
    words.push(`describe ${plan.paramsToDescribe.map((n) => `$${n}`).join(' ')}`)
  if (plan.effects.pins) words.push('pins')
  if (plan.effects.mayUnpin) words.push('may unpin')
  if (plan.effects.taintsBackend) words.push('taints')
  return words.length === 0 ? [] : [words.join(', ')]
}

const keyAt = ({
  columns,
  table,
}: {
  readonly columns: readonly string[]
  readonly table: Relation
}): number => columns.indexOf(table.key?.column ?? '')
