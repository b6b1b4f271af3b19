import { shardsBesideHome } from '../execute/context.ts'
import { quoteName } from '../execute/quote.ts'
import { settle, simpleQuery } from '../execute/shards/send.ts'
import { settleAll } from '../execute/shards/settle-all.ts'
import type { ShardLine } from '../execute/shards/shard-line.ts'
import type { ClientSession } from './client-session.ts'

/**
 * A client that listens does so on its backend of the home shard, and code notifies on the shard it runs on: what is
 * listened to there, the session listens to on every shard, each on a backend that it keeps. Every notification is sent
 * on one shard, so none comes twice.
 */
export class Channels {
  private readonly session: ClientSession
  private names: readonly string[] = []

  constructor(session: ClientSession) {
    this.session = session
  }

  /** `names`: what the backend of the home shard listens to, now that no transaction is open. */
  async follow(names: readonly string[]): Promise<void> {
    const isSame = names.join('\0') === this.names.join('\0')
    if (isSame && names.length === 0) return
    const others = shardsBesideHome(this.session.node.shardCount).map((shard) => this.session.line(shard))
    const behind = isSame ? others.filter((line) => !line.kept) : others
    if (behind.length === 0) return
    try {
      await settleAll(behind.map((line) => this.listen(line, names)))
      this.names = names
    } catch (error) {
      await this.giveUp()
      throw error
    }
  }

  /** A session that hears of some shards only would take silence for an answer: it hears that LISTEN has failed. */
  private async giveUp(): Promise<void> {
    this.names = []
    const kept = [...this.session.state.kept]
    await Promise.allSettled(kept.map((line) => this.run(line, 'UNLISTEN *')))
  }

  private async listen(line: ShardLine, names: readonly string[]): Promise<void> {
    if (names.length === 0 && !line.kept) return
    line.kept = true
    this.session.state.kept.add(line)
    await this.run(line, ['UNLISTEN *', ...names.map((name) => `LISTEN ${quoteName(name)}`)].join('; '))
  }

  private async run(line: ShardLine, sql: string): Promise<void> {
    const { session } = this
    settle(session, line, await simpleQuery(session, line, sql, { writes: false, looks: false }))
  }
}
