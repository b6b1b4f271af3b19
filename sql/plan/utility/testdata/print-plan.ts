import type { CopyPlan } from '../../copy-plan.ts'
import type { DdlPlan, Declaration, Plan, Route } from '../../plan.ts'

/** Prints a plan for `testdata/*.txt`: everything that differs from what most utility statements have. */
export function printPlan(plan: Plan): string {
  const marks = [
    plan.access === 'write' ? 'write' : '',
    plan.returnsRows ? 'rows' : '',
    plan.effects.pins ? 'pins' : '',
    plan.effects.mayUnpin ? 'may-unpin' : '',
    plan.effects.taintsBackend ? 'taints' : '',
    plan.outsideTransaction ? 'outside-transaction' : '',
    plan.maintenance === true ? 'maintenance' : '',
    plan.commits === 'within' && !plan.outsideTransaction ? 'commits-within' : '',
    plan.paramCount > 0 ? `params=${plan.paramCount}` : '',
    plan.generic ? '' : 'this-text-only',
  ].filter((mark) => mark !== '')
  const head = [plan.kind, `[${plan.tag}]`, ...marks].join(' ')
  return [head, ...details(plan).map((line) => `  ${line}`)].join('\n')
}

function details(plan: Plan): string[] {
  switch (plan.kind) {
    case 'forward':
      return [`route ${route(plan.route)}, several: ${plan.onSeveral.kind}`]
    case 'ddl':
      return ddl(plan)
    case 'refused':
      return [
        `${plan.error.code} ${plan.error.message}`,
        ...(plan.error.fields.hint === undefined ? [] : [`hint: ${plan.error.fields.hint}`]),
      ]
    case 'transaction':
    case 'setting':
    case 'prepared':
      return [json(plan)]
    case 'cursor':
      return [json({ ...plan, route: undefined }), ...(plan.route ? [`route ${route(plan.route)}`] : [])]
    case 'explain':
      return [`analyze=${plan.analyze} format=${plan.format}`, printPlan(plan.inner).replaceAll('\n', '\n  ')]
    case 'copy':
      return copy(plan)
    default:
      return [json(plan)]
  }
}

const COMMON = new Set([
  ...['kind', 'tag', 'access', 'effects', 'returnsRows', 'paramCount', 'generic'],
  ...['paramsToDescribe', 'outsideTransaction', 'maintenance', 'commits'],
])

function json(plan: object): string {
  const own = Object.entries(plan).filter(([key, value]) => !COMMON.has(key) && value !== undefined)
  return own.map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(' ')
}

function route(r: Route): string {
  if (r.kind !== 'keys') return r.kind
  return `keys ${r.restrictions.map((one) => `${one.keyType} ${JSON.stringify(one.values.map((v) => v.source))}`).join(' and ')}`
}

function ddl(plan: DdlPlan): string[] {
  return [
    `where=${plan.where}${plan.changesMap ? ' changes-map' : ''}`,
    ...(plan.homeSql === undefined ? [] : [`home: ${plan.homeSql}`]),
    ...(plan.othersSql === undefined ? [] : [`others: ${plan.othersSql}`]),
    ...(plan.othersOnlyWith === undefined ? [] : [`others that have ${plan.othersOnlyWith}`]),
    ...(plan.declare === undefined ? [] : [`declare ${declaration(plan.declare)}`]),
    ...(plan.elements?.sqls ?? []).map((sql) => `element of ${plan.elements?.schema}: ${sql}`),
    ...(plan.password === undefined ? [] : [`password ${JSON.stringify(plan.password)}`]),
  ]
}

function declaration(d: Declaration): string {
  return JSON.stringify(d)
}

function copy(plan: CopyPlan): string[] {
  const { direction, table, columns, format, delimiter, nullText, quote, header } = plan
  return [
    `${direction} ${table.name}(${columns.join(', ')}) key at ${plan.keyIndex}`,
    json({ format, delimiter, nullText, quote, escape: plan.escape, header }),
    ...(plan.forceNull.length + plan.forceNotNull.length === 0
      ? []
      : [json({ forceNull: plan.forceNull, forceNotNull: plan.forceNotNull })]),
    ...plan.fill.map((f) => `fill ${json(f)}`),
    `options: ${plan.optionsSql}`,
  ]
}
