import type { Isolation, Verdict } from '../check/verdict.ts'
import type { Op } from '../history/op.ts'

/** What the report of a run tells of. */
export interface Run {
  readonly workload: string
  readonly isolation: Isolation
  readonly nemesis: readonly string[]
  readonly seed: number
  /** That runs the same again. */
  readonly command: string
  /** Of Weft, Postgres, etcd, Node, …: name and version. */
  readonly versions: Readonly<Record<string, string>>
  /** As ISO 8601. */
  readonly started: string
  readonly history: readonly Op[]
  readonly verdict: Verdict
  /** Whether the healed cluster was whole again; left out when it was not asked. */
  readonly liveness?: { readonly ok: boolean; readonly seconds: number; readonly waitedFor?: string }
  readonly notes: readonly string[]
}

/** A run as the index over several shows it. */
export interface Entry {
  readonly run: Omit<Run, 'history'>
  readonly operations: number
  readonly seconds: number
  /** Where its page is, from that of the index. */
  readonly href: string
}

/** All in all: a cluster that does not come back is no success, whatever it has answered. */
export function isGood({ verdict, liveness }: Pick<Run, 'verdict' | 'liveness'>): true | false | 'unknown' {
  return liveness?.ok === false ? false : verdict.valid
}
