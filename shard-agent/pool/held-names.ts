/**
 * The custom settings (`my.name`) that a backend has had. Once it has had one Postgres knows the name, for good: to whoever
 * asks it is '' and no longer unknown, whatever is reset or discarded (docs/decisions/0024-custom-settings.md). PURE.
 */
import type { Settings } from '../../protocol/agent-link.ts'
import { ANY_NAME } from '../../sql/code/custom-settings.ts'

/** With more than these it counts as one that has had all. */
const NAMES_MAX = 500

export class HeldNames {
  private readonly names = new Set<string>()
  /** What ran last may have set these: until somebody has looked. */
  private readonly perhaps = new Set<string>()
  private hasAll = false
  /** Something of its session is there for good, which has no name. */
  isSpoiled = false
  /** Of what was sent last. */
  latest: Settings['custom']

  /** False: what runs under these settings would find that others have had what its session has not. */
  fits({ custom }: Settings): boolean {
    if (custom === undefined || custom.asks.length === 0) return true
    return !this.hasAll && custom.asks.every((asked) => this.hasNone(asked, custom.own))
  }

  /** Of those that the session has not had itself. */
  private hasNone(asked: string, own: readonly string[]): boolean {
    if (!asked.endsWith(ANY_NAME)) return !this.names.has(asked) && !this.perhaps.has(asked)
    const beginning = asked.slice(0, -1)
    for (const names of [this.names, this.perhaps])
      for (const name of names) if (name.startsWith(beginning) && !own.includes(name)) return false
    return true
  }

  /** Whether it would have names under them that it has not had: it would do for fewer afterwards. */
  growsBy({ custom }: Settings): boolean {
    if (custom === undefined || this.hasAll) return false
    const isNew = (name: string): boolean => !name.endsWith(ANY_NAME) && !this.names.has(name)
    return custom.own.some(isNew) || custom.sets.some(isNew)
  }

  /** Somebody has looked: what was set is among the session's own by now. */
  lookedAt(): void {
    this.perhaps.clear()
    this.latest = undefined
  }

  /** They are about to be sent. Of names that are put together the settings say which they were, once that has been seen. */
  note({ custom, spoils }: Settings): void {
    if (spoils === true) this.isSpoiled = true
    if (custom === this.latest) return
    this.latest = custom
    if (custom === undefined) return
    for (const name of custom.own) if (!name.endsWith(ANY_NAME)) this.names.add(name)
    for (const name of custom.sets) if (!name.endsWith(ANY_NAME)) this.perhaps.add(name)
    if (this.names.size + this.perhaps.size > NAMES_MAX) this.hasAll = true
  }
}
