import {
  type FailpointAction,
  type FailpointName,
  type Failpoints,
  failpointsFromEnv,
  noFailpoints,
  TestFailpoints,
} from '../txn/failpoints.ts'

/** What is to happen there; a number: so many milliseconds pass. */
export type FailpointWay = 'hold' | 'kill' | 'error' | number

/** From a test to the process that it started with an IPC channel and `WEFT_FAILPOINT=ipc`. */
export type FailpointOrder =
  | {
      readonly kind: 'arm'
      readonly name: FailpointName
      readonly how: FailpointWay
      readonly atHit: number
    }
  /** What is held goes on. */
  | { readonly kind: 'release' }

export type FailpointNews =
  | { readonly kind: 'armed'; readonly name: FailpointName }
  | { readonly kind: 'held'; readonly name: FailpointName }

let failpoints: Failpoints | undefined

/** The failpoints of this process: all its parts share them. */
export function nodeFailpoints(): Failpoints {
  failpoints ??= makeFailpoints()
  return failpoints
}

function makeFailpoints(): Failpoints {
  const text = process.env.WEFT_FAILPOINT
  if (text !== 'ipc') return failpointsFromEnv(text)
  return process.send === undefined ? noFailpoints : underControl()
}

function underControl(): TestFailpoints {
  const points = new TestFailpoints()
  let releases: (() => void)[] = []
  const tell = (news: FailpointNews): void => void process.send?.(news)
  const actionOf = (how: FailpointWay, name: FailpointName): FailpointAction => {
    if (typeof how === 'number') return { kind: 'pause', ms: how }
    if (how !== 'hold') return { kind: how }
    const run = (): Promise<void> =>
      new Promise((resolve) => {
        releases.push(resolve)
        tell({ kind: 'held', name })
      })
    return { kind: 'call', run }
  }
  process.on('message', (order: FailpointOrder) => {
    if (order.kind === 'arm') {
      points.set(order.name, actionOf(order.how, order.name), order.atHit)
      tell({ kind: 'armed', name: order.name })
    } else {
      for (const release of releases) release()
      releases = []
    }
  })
  // The channel alone is no reason to stay.
  process.channel?.unref()
  return points
}
