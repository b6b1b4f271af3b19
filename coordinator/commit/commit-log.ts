import type { CoordinatorBus } from '../events/events.ts'

type Tell = (fields: object, message: string) => void

/**
 * Tells the log of commits over several shards that did not go as they should. Every line has the transaction's id, which
 * is a part of its gids: one search finds what coordinators and agents have to say of it.
 */
export function logCommits(
  events: CoordinatorBus,
  log: { readonly debug: Tell; readonly info: Tell; readonly warn: Tell },
): void {
  events.on('commitEnded', ({ txnId, shards, outcome, error }) => {
    if (outcome === 'unknown')
      log.warn({ txnId, shards, why: error?.message }, 'commit: its outcome could not be told to the client')
    else log.debug({ txnId, shards, outcome, why: error?.message }, 'commit: over')
  })
  events.on('decisionAskedAgain', ({ txnId, attempt }) =>
    log.info({ txnId, attempt }, 'commit: the log is asked again for its decision'),
  )
  events.on('leftToRecovery', ({ txnId, shards }) =>
    log.warn({ txnId, shards }, 'commit: decided, and left to the recovery of shards'),
  )
}
