import type { Gate } from '../gate/gate.ts'
import type { PostgresAddress } from './address.ts'
import type { Backend } from './backend.ts'

/** What a backend is doing. */
export const MODE = {
  idle: 0,
  /** Bringing its settings to those the exec wants. */
  prelude: 1,
  exec: 2,
  /** A statement of the agent's own. */
  command: 3,
  /** Nothing sent: a cancel request under way, or the gate, is waited for. */
  waiting: 4,
} as const

/** Where a backend belongs. */
export interface BackendHome {
  readonly shard: number
  readonly address: PostgresAddress
  readonly gate: Gate
  readonly preparedMax: number
  /** SQL that marks a connection as this agent's; DISCARD ALL wipes the mark off. */
  readonly markSql: string
  /** Nobody's and clean: it may serve somebody else. */
  release(backend: Backend): void
  died(backend: Backend): void
  /** A transaction that has called `weft.notify` is over, or its connection is lost: there may be something to tell. */
  told(): void
  /** `close` was called, and later: the connection is gone. */
  closing(backend: Backend): void
  closed(backend: Backend): void
  /** The session whose backend has this pid. */
  sessionOf(backendPid: number): number | undefined
}
