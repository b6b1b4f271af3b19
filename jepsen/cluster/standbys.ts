import { setTimeout as sleep } from 'node:timers/promises'
import type { Machine } from './net.ts'
import { shardUrl } from './nodes.ts'
import { POSTGRES_PORT, type PostgresServers } from './postgres.ts'
import type { ClusterProcess } from './process.ts'
import { query } from './query.ts'

const SYNC_WITHIN_MS = 20_000

/** A shard's standby, to which it may fail over, and those after it: all on its machine, each at a port of its own. */
export class Standbys {
  private readonly servers: PostgresServers
  private readonly machine: Machine
  private made = 0
  /** Where the primary is. */
  port = POSTGRES_PORT
  /** Undefined: there is none that has all that was confirmed. */
  private next: { readonly process: ClusterProcess; readonly port: number } | undefined

  constructor(servers: PostgresServers, machine: Machine) {
    this.servers = servers
    this.machine = machine
  }

  get url(): string {
    return shardUrl(this.machine, this.port)
  }

  /** Starts one that follows the primary, which from then on confirms nothing that it does not have. */
  async add(): Promise<void> {
    const { machine, servers } = this
    const port = POSTGRES_PORT + ++this.made
    const process = await servers.makeStandby(
      `${machine.name}-standby-${this.made}`,
      machine,
      port,
      this.port,
    )
    process.start()
    await this.until('it does not follow', "SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'")
    await query(this.url, "ALTER SYSTEM SET synchronous_standby_names = '*'")
    await query(this.url, 'SELECT pg_reload_conf()')
    await this.until('it is not in step', "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'")
    this.next = { process, port }
  }

  /** The primary is gone: its standby becomes one. */
  async promote(): Promise<ClusterProcess> {
    const { next } = this
    if (next === undefined) throw new Error(`${this.machine.name} has no standby`)
    this.next = undefined
    this.port = next.port
    await query(this.url, 'SELECT pg_promote(wait => false)')
    await this.until('it was not promoted', 'SELECT 1 WHERE NOT pg_is_in_recovery()')
    return next.process
  }

  async stop(): Promise<void> {
    await this.next?.process.kill()
  }

  get hasNext(): boolean {
    return this.next !== undefined
  }

  private async until(why: string, sql: string): Promise<void> {
    const deadline = performance.now() + SYNC_WITHIN_MS
    for (;;) {
      const rows = await query(this.url, sql).catch(() => [])
      if (rows.length > 0) return
      if (performance.now() > deadline) throw new Error(`the standby of ${this.machine.name}: ${why}`)
      await sleep(50)
    }
  }
}
