export interface QueryResult {
  readonly rows: readonly (readonly (string | null)[])[]
  readonly columns: readonly { name: string; typeOid: number }[]
  readonly tag: string
}

/**
 * Statements inside the session's running transaction; a shard joins it at its first use. Errors reject with the
 * shard's PgError.
 */
export interface ShardRunner {
  readonly shardCount: number
  /** Extended protocol, text parameters and results. access 'write' makes the shard a participant. */
  query(
    shard: number,
    sql: string,
    params?: readonly (string | null)[],
    access?: 'read' | 'write',
  ): Promise<QueryResult>
  /**
   * COPY … FROM STDIN on a shard: write() takes raw copy bytes (the payload of CopyData, framing is done inside),
   * resolves when there is room; end() completes; fail(msg) aborts.
   */
  copyIn(shard: number, sql: string): Promise<CopyInStream>
  /**
   * COPY … TO STDOUT on a shard: data chunks (payloads of CopyData messages, one row each in text/csv) with
   * backpressure: the returned promise of onData is awaited when it is one.
   */
  copyOut(shard: number, sql: string, onData: (row: Buffer) => void | Promise<void>): Promise<QueryResult>
}

export interface CopyInStream {
  write(data: Buffer): void | Promise<void>
  /** `notices`: whole messages. */
  end(): Promise<{ rows: number; notices: readonly Buffer[] }>
  fail(message: string): Promise<void>
  /** What has been said so far: of one that fails, too. */
  notices(): readonly Buffer[]
}
