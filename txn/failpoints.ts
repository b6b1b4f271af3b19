/**
 * Places where a test may stop, delay or break a process. In production nothing is armed: `armed` is false and nothing
 * is awaited. `WEFT_FAILPOINT=after-prepare:kill,during-decision:pause=500,after-decision:error@3` arms them by
 * environment; `@3` means at the third hit, otherwise the first.
 */
export const failpointNames = [
  'before-prepare',
  /** One participant has prepared, others may not have. */
  'during-prepare',
  /** All have prepared. Nothing is in the log. */
  'after-prepare',
  /** The decision may be on its way. */
  'during-decision',
  'after-decision',
  /** One participant has committed, the others are held. */
  'between-commits',
  /** All have committed, the record is still in the log. */
  'before-conclude',
  'agent-before-prepare',
  'agent-after-prepare',
  'agent-before-commit-prepared',
  'agent-after-commit-prepared',
  /** Others have prepared, the last participant's commit is about to decide. */
  'agent-before-commit-last',
  'agent-after-commit-last',
  /** Recovery has created a tombstone and rolled nothing back. */
  'recovery-after-tombstone',
  'recovery-before-apply',
  'recovery-before-confirm',
] as const

export type FailpointName = (typeof failpointNames)[number]

export type FailpointAction =
  /** SIGKILL to this process. */
  | { readonly kind: 'kill' }
  | { readonly kind: 'pause'; readonly ms: number }
  | { readonly kind: 'error' }
  /** Tests in the same process: waits until the function's promise settles. */
  | { readonly kind: 'call'; readonly run: () => Promise<void> }

export interface Failpoints {
  readonly armed: boolean
  hit(name: FailpointName): Promise<void>
}

export const noFailpoints: Failpoints = { armed: false, hit: async () => {} }

export class FailpointError extends Error {
  override readonly name = 'FailpointError'
}

interface Armed {
  readonly action: FailpointAction
  /** Hits to let pass. */
  skip: number
}

/** Failpoints that a test sets; each fires once. */
export class TestFailpoints implements Failpoints {
  private readonly points = new Map<FailpointName, Armed>()
  readonly hits: FailpointName[] = []

  get armed(): boolean {
    return this.points.size > 0
  }

  set(name: FailpointName, action: FailpointAction, atHit = 1): this {
    this.points.set(name, { action, skip: atHit - 1 })
    return this
  }

  async hit(name: FailpointName): Promise<void> {
    const point = this.points.get(name)
    if (point === undefined) return
    if (point.skip > 0) {
      point.skip--
      return
    }
    this.points.delete(name)
    this.hits.push(name)
    await act(name, point.action)
  }
}

/** Undefined or empty: none. Throws for a text that it does not understand. */
export function failpointsFromEnv(text: string | undefined): Failpoints {
  if (text === undefined || text === '') return noFailpoints
  const points = new TestFailpoints()
  for (const part of text.split(',')) {
    const match = /^([a-z-]+):(kill|error|pause=(\d+))(?:@(\d+))?$/.exec(part.trim())
    const name = failpointNames.find((known) => known === match?.[1])
    if (match === null || name === undefined) throw new Error(`WEFT_FAILPOINT: cannot read "${part}"`)
    points.set(name, actionOf(match[2] ?? '', match[3]), Number(match[4] ?? 1))
  }
  return points
}

function actionOf(text: string, ms: string | undefined): FailpointAction {
  if (ms !== undefined) return { kind: 'pause', ms: Number(ms) }
  return text === 'kill' ? { kind: 'kill' } : { kind: 'error' }
}

async function act(name: FailpointName, action: FailpointAction): Promise<void> {
  switch (action.kind) {
    case 'kill':
      process.kill(process.pid, 'SIGKILL')
      // The signal comes as soon as the event loop turns; nothing may happen in between.
      await new Promise(() => {})
      return
    case 'pause':
      await new Promise((resolve) => setTimeout(resolve, action.ms))
      return
    case 'error':
      throw new FailpointError(`failpoint ${name}`)
    case 'call':
      await action.run()
  }
}
