/** With what was left out. */
export interface SettledTestCluster {
  readonly shards: number
  readonly startTimeoutMs: number
  readonly image: string
}

/** What is behind a cluster, however it was started. */
export interface StartedCluster {
  readonly url: string
  stop(): Promise<void>
}
