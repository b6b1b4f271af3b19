import { type Call, callsOf, indexOf, told } from '../history/calls.ts'
import { callsTo, okCalls } from './elements.ts'
import { groupBy } from './group.ts'
import { Judge } from './judge.ts'
import type { SessionRead, SessionWrite } from './ops.ts'
import type { Check } from './verdict.ts'

/**
 * A session that writes through one coordinator and reads through another with its causal token sees what it wrote; so does
 * one that was handed the token; and no session goes back. Operations: `SessionWrite`, `SessionRead` of ops.ts.
 */
export const readYourWrites: Check = (history) => {
  const judge = new Judge()
  const calls = callsOf(history)
  const writes = groupBy(callsTo(calls, 'write'), ({ invoke }) => (invoke.value as SessionWrite)[0])
  const reads = okCalls(calls, 'read')
  const seen = new Map<string, { value: number; index: number }>()
  for (const call of [...reads, ...okCalls(calls, 'write')].sort(
    (one, other) => indexOf(one) - indexOf(other),
  )) {
    const isRead = call.invoke.f === 'read'
    const { key, value } = isRead ? told<SessionRead>(call) : written(call)
    const id = `${call.process} ${key}`
    if (isRead) checkRead(call, seen.get(id), writes.get(key) ?? [], judge)
    if (value !== null && value >= (seen.get(id)?.value ?? value))
      seen.set(id, { value, index: indexOf(call) })
  }
  judge.count('reads', reads.length)
  judge.count(
    'reads with a token of another',
    reads.filter((read) => told<SessionRead>(read).after !== undefined).length,
  )
  judge.count('writes ok', okCalls(calls, 'write').length)
  if (reads.length === 0) judge.doubt('Nothing was read, so nothing is known.')
  return judge.verdict()
}

function written(call: Call): { key: number; value: number } {
  const [key, value] = call.invoke.value as SessionWrite
  return { key, value }
}

function checkRead(
  read: Call,
  own: { value: number; index: number } | undefined,
  writes: readonly Call[],
  judge: Judge,
): void {
  const asked = read.invoke.value as SessionRead
  const { key, value, after, first } = { ...asked, ...told<SessionRead>(read) }
  const at = indexOf(read)
  if (own !== undefined && (value ?? Number.NEGATIVE_INFINITY) < own.value) {
    const kind = isWriteAt(writes, own.index) ? 'own-write-missed' : 'went-back'
    judge.find(
      kind,
      `op ${at} reads ${value ?? 'nothing'} from ${key}: process ${read.process} knew ${own.value} since op ${own.index}`,
      [own.index, at],
    )
  }
  if (typeof first === 'number' && (value ?? Number.NEGATIVE_INFINITY) < first) {
    judge.find(
      'went-back',
      `op ${at} reads ${value ?? 'nothing'} from ${key}, and had read ${first} on another shard just before`,
      [at],
    )
  }
  if (after !== undefined && (value ?? Number.NEGATIVE_INFINITY) < after) {
    judge.find(
      'token-missed',
      `op ${at} reads ${value ?? 'nothing'} from ${key}, with a token of one who knew ${after}`,
      [at],
    )
  }
  if (value === null) return
  const writer = writes.find(({ invoke }) => (invoke.value as SessionWrite)[1] === value)
  if (writer === undefined || writer.invoke.index > at) {
    judge.find('garbage', `op ${at} reads ${value} from ${key}, which nobody had written`, [at])
  } else if (writer.outcome === 'fail') {
    judge.find(
      'aborted-read',
      `op ${at} reads ${value} from ${key}, whose write, op ${indexOf(writer)}, had failed`,
      [at],
    )
  }
}

function isWriteAt(writes: readonly Call[], index: number): boolean {
  return writes.some((write) => indexOf(write) === index)
}
