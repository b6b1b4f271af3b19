import { readEdn } from './edn-reader.ts'
import type { Op, OpError, OpType, OpValue } from './op.ts'

const TYPES = new Set<OpValue>(['invoke', 'ok', 'fail', 'info'])

type Fields = Readonly<Record<string, OpValue | undefined>>

/** A history from the text of a file, EDN (one op after the other, or a vector of them) or JSON lines: which, it sees. */
export function readHistory(text: string): Op[] {
  const values = /^\s*\{\s*"/.test(text) ? readJsonLines(text) : readEdn(text)
  const [first] = values
  const steps = values.length === 1 && Array.isArray(first) ? (first as readonly OpValue[]) : values
  return steps.map(opOf)
}

function readJsonLines(text: string): OpValue[] {
  return text.split('\n').flatMap((line, i) => {
    if (line.trim() === '') return []
    try {
      return [JSON.parse(line) as OpValue]
    } catch (error) {
      throw new Error(`line ${i + 1} is no JSON: ${(error as Error).message}`)
    }
  })
}

function opOf(step: OpValue, position: number): Op {
  const problem = (what: string): Error => new Error(`operation ${position} of the history ${what}`)
  if (step === null || typeof step !== 'object' || Array.isArray(step)) throw problem('is no map')
  const fields = step as Fields
  const { type, process, f, value = null, error, node, statements } = fields
  if (type === undefined || !TYPES.has(type)) throw problem('has no type: invoke, ok, fail or info')
  if (typeof process !== 'number' && process !== 'nemesis') throw problem('has no process')
  if (typeof f !== 'string') throw problem('has no f')
  return {
    index: typeof fields.index === 'number' ? fields.index : position,
    time: typeof fields.time === 'number' ? fields.time : 0,
    type: type as OpType,
    process,
    f,
    value,
    ...(error === undefined || error === null ? {} : { error: errorOf(error) }),
    ...(typeof node === 'string' ? { node } : {}),
    ...(fields.final === true || fields['final?'] === true ? { final: true as const } : {}),
    ...(Array.isArray(statements) ? { statements: statements as readonly number[] } : {}),
  }
}

/** Ours is a map; Jepsen's may be anything. */
function errorOf(error: OpValue): OpError {
  if (error !== null && typeof error === 'object' && !Array.isArray(error)) {
    const { sqlstate, message } = error as Fields
    if (typeof message === 'string') return { ...(typeof sqlstate === 'string' ? { sqlstate } : {}), message }
  }
  return { message: typeof error === 'string' ? error : JSON.stringify(error) }
}
