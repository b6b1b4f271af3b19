import type { Cluster } from '../cluster/cluster.ts'
import type { OpValue } from '../history/op.ts'
import type { Random } from '../run/random.ts'

/** What is broken now, and how it is mended. */
export interface Broken {
  /** Which nodes, and how; for the history. */
  readonly what: OpValue
  mend(): Promise<void>
}

export interface Fault {
  readonly name: string
  /** Why it cannot be done to this cluster; undefined when it can. */
  readonly whyNot?: (cluster: Cluster) => string | undefined
  start(cluster: Cluster, random: Random): Promise<Broken>
}
