import { weftError } from '../errors/catalog.ts'
import { assertNever, invariant, type PgError } from '../errors/pg-error.ts'
import type { Timestamp } from '../protocol/agent-link.ts'
import type {
  CommitEffect,
  CommitEvent,
  CommitState,
  CommitStep,
  Member,
  MemberStatus,
} from './commit-types.ts'
import { outcomeIdFor } from './outcome.ts'

export type { CommitEffect, CommitEvent, CommitState, CommitStep, Outcome } from './commit-types.ts'

/**
 * The coordinator's side of one cross-shard commit, as a pure step function (txn/README.md has the picture).
 *
 *   M1 `write-decision` is asked for only when every participant has prepared and every reader was released.
 *   M2 Before the first `write-decision` the coordinator may abort by itself, and then it never asks for one.
 *   M3 From the first `write-decision` on only the log says commit or abort. Nothing is rolled back and nobody is told
 *      "aborted" on the strength of a failure or a timeout.
 *   M4 `commit-prepared` is asked for only after the log said commit; `rollback-prepared` only after M2 or the log's
 *      abort.
 *   M5 Exactly one `answer`. "Aborted" although the fate of an attempt is unknown only when a participant was rolled back
 *      by us after the log's abort: that one had not carried out a commit, so there was none.
 *   M6 The timestamp of a commit is fixed before its first `write-decision`: at or above every participant's prepare_ts,
 *      and above every cut (DESIGN 5) that was told it would not be part of it.
 *   M7 A record is dropped only when every participant has confirmed; else those that did are confirmed in the log,
 *      and recovery brings in the rest.
 *   M8 The last participant, if there is one, is asked to commit once, in the place of the first `write-decision` (M1 to
 *      M3 and M6 hold for it alike), and is not named in the record: when that is there it has carried it out.
 *      After an unknown fate the log is asked for an abort, never for a commit: that could not bring its data back.
 */
const none: readonly CommitEffect[] = []

/** Asks all participants to prepare and releases the readers, in parallel. */
export function startCommit(
  txnId: string,
  participants: readonly number[],
  readers: readonly number[],
  last?: number,
): CommitStep {
  invariant(participants.length > 0, 'a commit needs a participant')
  invariant(last === undefined || participants.length > 1, 'the last participant is not the only one')
  const members: Member[] = []
  const effects: CommitEffect[] = []
  for (const shard of participants) {
    members.push({ shard, status: 'preparing', prepareTs: 0n })
    effects.push({ kind: 'prepare', shard })
  }
  for (const shard of readers) {
    members.push({ shard, status: 'releasing', prepareTs: 0n })
    effects.push({ kind: 'release', shard })
  }
  const state: CommitState = {
    txnId,
    phase: 'preparing',
    members,
    last,
    waiting: members.length,
    commitTs: 0n,
    error: undefined,
    attempts: 0,
    fateUnknown: false,
    rolledBack: false,
    tombstone: false,
  }
  return { state, effects }
}

/** `above`: what is decided now gets a timestamp above it; cuts at or below it were told that it will. */
export function stepCommit(state: CommitState, event: CommitEvent, above: Timestamp = 0n): CommitStep {
  switch (event.kind) {
    case 'prepared':
    case 'prepare-failed':
    case 'prepare-lost':
    case 'released':
    case 'reader-wrote':
    case 'release-failed':
      return onVote(state, event, above)
    case 'give-up':
      return state.phase === 'preparing' ? abort(state, event.error) : { state, effects: none }
    case 'log-created':
    case 'log-exists':
    case 'log-fenced':
    case 'log-unavailable':
    case 'log-unknown':
    case 'last-refused':
      return onLog(state, event)
    case 'applied':
    case 'apply-failed':
      return onApply(state, event)
    case 'deadline':
      return onDeadline(state)
    default:
      return assertNever(event)
  }
}

/** The SQLSTATE of a failed prepare: is it certain that nothing was prepared? */
export function prepareIsLost(code: string): boolean {
  return code.startsWith('08') || code.startsWith('57P') || code === 'XX000'
}

/** The SQLSTATE of a failed COMMIT PREPARED or ROLLBACK PREPARED. */
export function applyFailure(code: string): 'gone' | 'unreachable' | 'again' {
  if (code === '42704') return 'gone'
  // Most of class 08 is a link that is down: its agent resolves at once whatever the lost coordinator left there.
  return code.startsWith('08') ? 'unreachable' : 'again'
}

type VoteEvent = Extract<
  CommitEvent,
  {
    kind: 'prepared' | 'prepare-failed' | 'prepare-lost' | 'released' | 'reader-wrote' | 'release-failed'
  }
>

function onVote(state: CommitState, event: VoteEvent, above: Timestamp): CommitStep {
  const before = statusOf(state, event.shard)
  const expected =
    event.kind === 'released' || event.kind === 'reader-wrote' || event.kind === 'release-failed'
      ? 'releasing'
      : 'preparing'
  invariant(before === expected || state.phase === 'done', `${event.kind} of a shard that is ${before}`)
  if (state.phase === 'preparing') return voteWhilePreparing(state, event, above)
  invariant(state.phase === 'aborting' || state.phase === 'done', `${event.kind} while ${state.phase}`)
  return voteAfterAbort(state, event)
}

function voteWhilePreparing(state: CommitState, event: VoteEvent, above: Timestamp): CommitStep {
  switch (event.kind) {
    case 'prepared':
      return decideWhenReady(
        answered(withoutLast(state, event), event.shard, 'prepared', event.prepareTs),
        above,
      )
    case 'released':
      return decideWhenReady(answered(state, event.shard, 'released'), above)
    case 'reader-wrote':
      return {
        state: marked(state, event.shard, 'preparing'),
        effects: [{ kind: 'prepare', shard: event.shard }],
      }
    case 'prepare-failed':
      return abort(answered(state, event.shard, 'refused'), event.error)
    case 'prepare-lost':
      // It may turn out prepared: `prepared` makes `abort` roll it back there as well.
      return abort(
        { ...answered(withoutLast(state, event), event.shard, 'prepared'), tombstone: true },
        event.error,
      )
    case 'release-failed':
      return abort(answered(state, event.shard, 'refused'), event.error, [
        { kind: 'rollback', shard: event.shard },
      ])
    default:
      return assertNever(event)
  }
}

/** Who prepared is not the last, nor is one of whom that is not known. */
function withoutLast(state: CommitState, event: VoteEvent): CommitState {
  const hasPrepared = event.kind === 'prepare-lost' || (event.kind === 'prepared' && event.notLast === true)
  return hasPrepared && event.shard === state.last ? { ...state, last: undefined } : state
}

function decideWhenReady(state: CommitState, above: Timestamp): CommitStep {
  if (state.waiting > 0) return { state, effects: none }
  let commitTs = above > 0n ? above + 1n : 0n
  const participants: number[] = []
  for (const member of state.members) {
    if (member.status !== 'prepared') continue
    if (member.shard !== state.last) participants.push(member.shard)
    if (member.prepareTs > commitTs) commitTs = member.prepareTs
  }
  const next: CommitState = { ...state, phase: 'deciding', commitTs, attempts: 1 }
  const { last } = state
  const effect: CommitEffect =
    last === undefined
      ? { kind: 'write-decision', commitTs, participants, attempt: 1 }
      : { kind: 'commit-last', shard: last, commitTs, participants }
  return { state: next, effects: [effect] }
}

/** No decision was asked for and none ever will be (M2): presumed abort, nothing has to be written. */
function abort(state: CommitState, error: PgError, more: readonly CommitEffect[] = none): CommitStep {
  const effects: CommitEffect[] = [...more]
  const members = state.members.map((member): Member => {
    if (member.status === 'preparing') effects.push({ kind: 'cancel-prepare', shard: member.shard })
    if (member.status !== 'prepared') return member
    if (member.shard === state.last) {
      effects.push({ kind: 'rollback', shard: member.shard })
      return { ...member, status: 'refused' }
    }
    effects.push({ kind: 'rollback-prepared', shard: member.shard, again: false })
    return { ...member, status: 'applying' }
  })
  return finishWhenSettled(
    { ...state, phase: 'aborting', members, error, waiting: unsettled(members) },
    effects,
  )
}

/** Votes that come in after it was given up; `done` only differs in that nobody waits. */
function voteAfterAbort(state: CommitState, event: VoteEvent): CommitStep {
  const { shard } = event
  switch (event.kind) {
    case 'prepared':
    case 'prepare-lost':
      if (shard === withoutLast(state, event).last)
        return finishWhenSettled(answered(state, shard, 'refused'), [{ kind: 'rollback', shard }])
      return {
        state: {
          ...marked(state, shard, 'applying'),
          tombstone: state.tombstone || event.kind === 'prepare-lost',
        },
        effects: [{ kind: 'rollback-prepared', shard, again: false }],
      }
    case 'prepare-failed':
      return finishWhenSettled(answered(state, shard, 'refused'), none)
    case 'released':
      return finishWhenSettled(answered(state, shard, 'released'), none)
    case 'reader-wrote':
    case 'release-failed':
      return finishWhenSettled(answered(state, shard, 'refused'), [{ kind: 'rollback', shard }])
    default:
      return assertNever(event)
  }
}

type LogEvent = Extract<
  CommitEvent,
  {
    kind: 'log-created' | 'log-exists' | 'log-fenced' | 'log-unavailable' | 'log-unknown' | 'last-refused'
  }
>

function onLog(state: CommitState, event: LogEvent): CommitStep {
  // The client was told "unknown" meanwhile: recovery settles it, with the same rules as for a dead coordinator.
  if (state.phase === 'done') return { state, effects: none }
  invariant(state.phase === 'deciding', `${event.kind} while ${state.phase}`)
  switch (event.kind) {
    case 'log-created':
      return commit(state, state.commitTs)
    case 'log-exists':
      // A commit can only be an earlier attempt of ours: nobody else writes one.
      if (event.decision === 'commit') return commit(state, event.commitTs)
      return abortDecided(state, 'recovery found it prepared and undecided for too long', true)
    case 'log-fenced':
      // An earlier attempt may have decided, been carried out by recovery, and been dropped.
      if (state.fateUnknown) return giveUpUnknown(state, 'its coordinator was cut off from the log meanwhile')
      return abortDecided(state, 'its coordinator was cut off from the log meanwhile', false)
    case 'log-unavailable':
      if (state.fateUnknown) return askAgain(state)
      // The first attempt certainly did nothing, so no record of ours exists: as if it had never been asked for.
      return abort(state, weftError('log_unavailable', { why: event.why }))
    case 'log-unknown':
      return askAgain({ ...state, fateUnknown: true })
    case 'last-refused':
      return abort({ ...marked(state, state.last!, 'refused'), tombstone: event.tombstone }, event.error)
    default:
      return assertNever(event)
  }
}

function askAgain(state: CommitState): CommitStep {
  const attempt = state.attempts + 1
  const participants = participantsOf(state)
  const effect: CommitEffect =
    state.last === undefined
      ? { kind: 'write-decision', commitTs: state.commitTs, participants, attempt }
      : { kind: 'settle-last', attempt }
  return { state: { ...state, attempts: attempt }, effects: [effect] }
}

function commit(state: CommitState, commitTs: Timestamp): CommitStep {
  const effects: CommitEffect[] = []
  const members = state.members.map((member): Member => {
    if (member.status !== 'prepared') return member
    if (member.shard === state.last) return { ...member, status: 'applied' }
    effects.push({ kind: 'commit-prepared', shard: member.shard, commitTs, again: false })
    return { ...member, status: 'applying' }
  })
  return { state: { ...state, phase: 'committing', members, commitTs, waiting: effects.length }, effects }
}

function abortDecided(state: CommitState, why: string, tombstone: boolean): CommitStep {
  const error = weftError('aborted_by_recovery', { why })
  // With an attempt's fate unknown the tombstone is what keeps it from taking effect late: it has to stay.
  return abort({ ...state, tombstone: tombstone && !state.fateUnknown }, error)
}

type ApplyEvent = Extract<CommitEvent, { kind: 'applied' | 'apply-failed' }>

function onApply(state: CommitState, event: ApplyEvent): CommitStep {
  const { shard } = event
  const before = statusOf(state, shard)
  invariant(before === 'applying' || before === 'left', `${event.kind} of a shard that is ${before}`)
  if (before === 'left') {
    // Too late for the answer, but not for the log.
    const late = event.kind === 'applied' && state.error === undefined
    return { state, effects: late ? [{ kind: 'confirm', shards: [shard] }] : none }
  }
  invariant(state.phase !== 'preparing' && state.phase !== 'deciding', `${event.kind} while ${state.phase}`)
  if (event.kind === 'applied') {
    const rolledBack = state.rolledBack || state.phase === 'aborting'
    return finishWhenSettled({ ...answered(state, shard, 'applied'), rolledBack }, none)
  }
  switch (event.how) {
    case 'gone':
      // Its shard had prepared it, and the outcome is settled: 42704 says that somebody else (recovery) carried it out.
      // In an abort it may also never have been prepared, or not yet: recovery will find it.
      return finishWhenSettled({ ...answered(state, shard, 'applied'), tombstone: true }, none)
    case 'unreachable':
      return finishWhenSettled({ ...answered(state, shard, 'left'), tombstone: true }, none)
    case 'again':
      if (state.phase === 'done') return { state: marked(state, shard, 'left'), effects: none }
      return { state, effects: [applyEffect(state, shard, true)] }
    default:
      return assertNever(event.how)
  }
}

function applyEffect(state: CommitState, shard: number, again: boolean): CommitEffect {
  return state.phase === 'committing'
    ? { kind: 'commit-prepared', shard, commitTs: state.commitTs, again }
    : { kind: 'rollback-prepared', shard, again }
}

function onDeadline(state: CommitState): CommitStep {
  switch (state.phase) {
    case 'preparing':
      return abort(state, prepareTimeout(state))
    case 'deciding':
      return giveUpUnknown(state, 'the transaction log did not answer in time')
    case 'committing':
    case 'aborting':
      return finish({ ...leaveRest(state), tombstone: true }, none)
    case 'done':
      return { state, effects: none }
    default:
      return assertNever(state.phase)
  }
}

function prepareTimeout(state: CommitState): PgError {
  const slow = state.members.find((m) => m.status === 'preparing' || m.status === 'releasing')
  return weftError('prepare_refused', { shard: slow?.shard ?? 0, why: 'it took too long' })
}

/** Everything stays prepared, and locked, until recovery learns from the log what holds. */
function giveUpUnknown(state: CommitState, why: string): CommitStep {
  const members = state.members.map((m): Member => (m.status === 'prepared' ? { ...m, status: 'left' } : m))
  const error = outcomeUnknown(state, why)
  return {
    state: { ...state, phase: 'done', members, waiting: 0, error },
    effects: [{ kind: 'answer', answer: { outcome: 'unknown', error } }],
  }
}

function outcomeUnknown({ txnId, commitTs }: CommitState, why: string): PgError {
  return weftError('outcome_unknown', { gid: txnId, id: outcomeIdFor(txnId, commitTs), why })
}

function finishWhenSettled(state: CommitState, effects: readonly CommitEffect[]): CommitStep {
  if (state.waiting > 0 || state.phase === 'done') return { state, effects }
  return finish(state, effects)
}

/**
 * Committed is answered also when a shard could not be reached after the decision: the decision is durable and will
 * be carried out there (its rows stay locked until then, so nobody reads the state before).
 */
function finish(state: CommitState, before: readonly CommitEffect[]): CommitStep {
  const effects: CommitEffect[] = [...before]
  const done: CommitState = { ...state, phase: 'done', waiting: 0 }
  if (state.phase === 'committing') {
    effects.push({ kind: 'answer', answer: { outcome: 'committed', commitTs: state.commitTs } })
    const applied = state.members
      .filter((m) => m.status === 'applied' && m.shard !== state.last)
      .map((m) => m.shard)
    const left = state.members.filter((m) => m.status === 'left').map((m) => m.shard)
    if (left.length === 0) effects.push({ kind: 'drop' })
    else {
      effects.push({ kind: 'left', shards: left })
      if (applied.length > 0) effects.push({ kind: 'confirm', shards: applied })
    }
    return { state: done, effects }
  }
  // All of them carried something out meanwhile: the tombstone may be one that came after a commit was concluded.
  if (state.fateUnknown && !state.rolledBack) return finishUnknown(done, effects)
  invariant(state.error !== undefined, 'an abort has a reason')
  effects.push({ kind: 'answer', answer: { outcome: 'aborted', error: state.error } })
  if (state.tombstone && !state.fateUnknown) effects.push({ kind: 'drop' })
  return { state: done, effects }
}

function finishUnknown(state: CommitState, before: readonly CommitEffect[]): CommitStep {
  const why = 'recovery settled it before the log could be asked again'
  const error = outcomeUnknown(state, why)
  return {
    state: { ...state, error },
    effects: [...before, { kind: 'answer', answer: { outcome: 'unknown', error } }],
  }
}

function leaveRest(state: CommitState): CommitState {
  const members = state.members.map((m): Member => (m.status === 'applying' ? { ...m, status: 'left' } : m))
  return { ...state, members }
}

function participantsOf(state: CommitState): number[] {
  return state.members.filter((m) => m.status === 'prepared').map((m) => m.shard)
}

/** In an abort: whose PREPARE or release is still out, and who is being rolled back. */
function unsettled(members: readonly Member[]): number {
  let count = 0
  for (const { status } of members) {
    if (status === 'preparing' || status === 'releasing' || status === 'applying') count++
  }
  return count
}

function statusOf(state: CommitState, shard: number): MemberStatus {
  const member = state.members.find((m) => m.shard === shard)
  invariant(member !== undefined, `shard ${shard} is not part of this transaction`)
  return member.status
}

function answered(state: CommitState, shard: number, status: MemberStatus, prepareTs = 0n): CommitState {
  return { ...marked(state, shard, status, prepareTs), waiting: Math.max(0, state.waiting - 1) }
}

function marked(state: CommitState, shard: number, status: MemberStatus, prepareTs = 0n): CommitState {
  const members = state.members.map((m): Member => (m.shard === shard ? { shard, status, prepareTs } : m))
  return { ...state, members }
}
