/** Limits of one mux link; both ends have them. */
export interface MuxLimits {
  /** Of one frame: a statement with all its parameters has to fit. */
  readonly frameBytesMax: number
  /** Sessions open on one link at a time. */
  readonly sessionsMax: number
  /** Bytes waiting to be written to the peer; above it the sessions that produce more are paused. */
  readonly backlogBytesMax: number
  /** A side that has had nothing to send for this long sends a ping. */
  readonly pingIntervalMs: number
  /** A peer that was not heard of for this long is given up. */
  readonly deadAfterMs: number
  /** From connecting, or being connected to, until both sides know each other. */
  readonly helloTimeoutMs: number
  /** Connections that an agent has open at a time. */
  readonly connectionsMax: number
}

export const muxDefaults: MuxLimits = {
  frameBytesMax: 1024 * 1024 * 1024,
  sessionsMax: 100_000,
  backlogBytesMax: 1024 * 1024,
  pingIntervalMs: 2_000,
  deadAfterMs: 5_000,
  helloTimeoutMs: 5_000,
  connectionsMax: 1_000,
}

/** The part of the hybrid logical clock that a link uses. */
export interface MuxClock {
  now(): bigint
  observe(ts: bigint): void
}

/** PEM: the authority that signed both sides' certificates, and this side's own. */
export interface MuxTls {
  readonly ca: string | Buffer
  readonly cert: string | Buffer
  readonly key: string | Buffer
}

/** What a link needs of a logger; Pino's is one. */
export interface MuxLog {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}
