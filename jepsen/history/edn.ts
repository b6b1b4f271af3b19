import type { Op, OpValue } from './op.ts'

const MICRO_OPS = new Set<OpValue>(['append', 'w', 'r'])

/** One line, exactly as Jepsen writes its `history.edn` and Elle reads it. */
export function toEdn(op: Op): string {
  const fields = [
    `:index ${op.index}`,
    `:time ${op.time}`,
    `:type :${op.type}`,
    `:process ${op.process === 'nemesis' ? ':nemesis' : op.process}`,
    `:f ${keyOf(op.f)}`,
    `:value ${op.f === 'txn' ? txnOf(op.value) : ednOf(op.value)}`,
  ]
  if (op.error !== undefined) fields.push(`:error ${ednOf({ ...op.error })}`)
  if (op.node !== undefined) fields.push(`:node ${JSON.stringify(op.node)}`)
  if (op.final === true) fields.push(':final? true')
  if (op.statements !== undefined) fields.push(`:statements ${ednOf(op.statements)}`)
  return `{${fields.join(', ')}}`
}

/** In a transaction the words at the head of micro-ops are keywords. */
function txnOf(value: OpValue): string {
  if (!Array.isArray(value)) return ednOf(value)
  return `[${(value as readonly OpValue[]).map(microOf).join(' ')}]`
}

function microOf(value: OpValue): string {
  if (!Array.isArray(value) || !MICRO_OPS.has(value[0] as OpValue)) return ednOf(value)
  const [head, ...rest] = value as readonly OpValue[]
  return `[:${head} ${rest.map(ednOf).join(' ')}]`
}

function ednOf(value: OpValue): string {
  if (value === null) return 'nil'
  if (typeof value !== 'object') return typeof value === 'string' ? textOf(value) : String(value)
  if (Array.isArray(value)) return `[${(value as readonly OpValue[]).map(ednOf).join(' ')}]`
  const entries = Object.entries(value).filter(([, item]) => item !== undefined)
  return `{${entries.map(([key, item]) => `${keyOf(key)} ${ednOf(item)}`).join(', ')}}`
}

/** Numbers are keys as they are (accounts of the bank); what can be no keyword is a string. */
function keyOf(key: string): string {
  if (/^(0|-?[1-9]\d{0,14})$/.test(key)) return key
  return /^[A-Za-z*!_?<>=][\w*!?<>=+.-]*$/.test(key) ? `:${key}` : textOf(key)
}

/** The escapes of JSON are those of EDN. */
function textOf(text: string): string {
  return JSON.stringify(text)
}
