/**
 * Plans by the token-level fingerprint of their statement, so that `WHERE id = 1` and `WHERE id = 2` share one. An
 * entry answers only when it is *verified*: every byte that is no literal is compared, and for a plan that holds for
 * its exact text alone the literals too. A hash collision therefore costs time and never gives a wrong plan. A hit
 * allocates nothing.
 */
import type { Lexed } from '../../../sql/lex/lexed.ts'

export interface PlanCacheLimits {
  readonly entriesMax: number
  /** Statement text kept for verification, all entries together. */
  readonly textBytesMax: number
  /** Longer statements are not kept: whoever sends them pays for parsing anyway. */
  readonly statementBytesMax: number
  readonly scopesMax: number
  /** Plans of one fingerprint that hold for their exact text only. */
  readonly variantsMax: number
}

const DEFAULT_LIMITS: PlanCacheLimits = {
  entriesMax: 10_000,
  textBytesMax: 32 * 1024 * 1024,
  statementBytesMax: 64 * 1024,
  scopesMax: 1_000,
  variantsMax: 4,
}

export interface PlanCacheStats {
  readonly hits: number
  readonly misses: number
  readonly evictions: number
  readonly size: number
  readonly textBytes: number
}

/**
 * What a plan depends on besides its text. Sessions hold one and ask for another when their search path or the
 * catalog's version changes. A scope that the cache let go has version -1, so that
 * `scope.version !== catalog.version` is the only check a session needs.
 */
export interface CacheScope {
  readonly version: number
}

class Scope implements CacheScope {
  version: number
  readonly parts: readonly string[]
  readonly paramTypes: readonly number[]
  /** Scopes of the same search path with declared parameter types; only the one without has any. */
  readonly typed: Scope[] = []
  readonly salt: number

  constructor(version: number, parts: readonly string[], paramTypes: readonly number[], salt: number) {
    this.version = version
    this.parts = parts
    this.paramTypes = paramTypes
    this.salt = salt
  }
}

/** Comparing bytes in a loop beats a native call up to about this length. */
const LOOP_BYTES_MAX = 96

class Entry<P> {
  readonly scope: Scope
  readonly hashA: number
  readonly hashB: number
  readonly plan: P
  readonly generic: boolean
  readonly text: Buffer
  readonly kinds: Uint8Array
  /** Start and end of each literal within `text`. */
  readonly starts: Uint32Array
  readonly ends: Uint32Array
  /** Found since the clock's hand last came by; not from the start, so that a flood of new texts washes itself out. */
  used = false
  /** The next entry with the same map key. */
  chained: Entry<P> | undefined
  /** Ring that the clock's hand walks. */
  before: Entry<P> = this
  after: Entry<P> = this

  constructor(scope: Scope, plan: P, generic: boolean, buf: Buffer, lexed: Lexed) {
    this.scope = scope
    this.hashA = lexed.hashA
    this.hashB = lexed.hashB
    this.plan = plan
    this.generic = generic
    const { start, tail: end, literalCount } = lexed
    // A slice of the shared pool would keep all of the pool's 8 KiB alive.
    this.text = Buffer.allocUnsafeSlow(end - start)
    buf.copy(this.text, 0, start, end)
    this.kinds = lexed.kinds.slice(0, literalCount)
    this.starts = lexed.starts.slice(0, literalCount).map((p) => p - start)
    this.ends = lexed.ends.slice(0, literalCount).map((p) => p - start)
  }
}

export class PlanCache<P extends { readonly generic: boolean }> {
  private readonly limits: PlanCacheLimits
  private readonly table = new Map<number, Entry<P>>()
  private readonly scopes = new Map<string, Scope>()
  private scopeCount = 0
  private saltCount = 0
  private version = 0
  private hand: Entry<P> | undefined
  private size = 0
  private textBytes = 0
  private hits = 0
  private misses = 0
  private evictions = 0

  constructor(limits: Partial<PlanCacheLimits> = {}) {
    this.limits = { ...DEFAULT_LIMITS, ...limits }
  }

  /**
   * The scope for a catalog version and a search path. A version above the last one empties the cache. `extra`:
   * anything else that plans depend on (names of temporary tables).
   */
  scope(version: number, searchPath: readonly string[], extra = ''): CacheScope {
    if (version > this.version) {
      this.clear()
      this.version = version
    }
    const parts = [...searchPath, extra]
    // A session that still plans on an older version must neither find nor leave anything here.
    if (version < this.version) return new Scope(version, parts, [], 0)
    const name = JSON.stringify(parts)
    const known = this.scopes.get(name)
    if (known !== undefined) return known
    const scope = this.makeScope(version, parts, [])
    this.scopes.set(name, scope)
    return scope
  }

  /** The scope for a statement whose Parse declared parameter types. */
  scopeWithTypes(base: CacheScope, paramTypes: readonly number[]): CacheScope {
    if (paramTypes.length === 0 || !(base instanceof Scope)) return base
    for (const scope of base.typed) if (sameNumbers(scope.paramTypes, paramTypes)) return scope
    if (!this.isLive(base)) return new Scope(base.version, base.parts, paramTypes, 0)
    const scope = this.makeScope(base.version, base.parts, [...paramTypes])
    // Making room for it may have let go of the base.
    if (this.isLive(base)) base.typed.push(scope)
    return scope
  }

  /** The plan of `buf[start, end)`, which was lexed into `lexed`; comments that follow are no matter. */
  lookup(scope: CacheScope, buf: Buffer, start: number, end: number, lexed: Lexed): P | undefined {
    if (lexed.ok && scope instanceof Scope) {
      let entry = this.table.get(lexed.hashA ^ scope.salt)
      for (; entry !== undefined; entry = entry.chained) {
        if (entry.scope === scope && matches(entry, buf, start, end, lexed)) {
          entry.used = true
          this.hits++
          return entry.plan
        }
      }
    }
    this.misses++
    return undefined
  }

  /** Keeps a plan; without effect for texts that were not lexed, are too long, or belong to a scope let go. */
  insert(scope: CacheScope, buf: Buffer, start: number, end: number, lexed: Lexed, plan: P): void {
    const bytes = end - start
    if (!lexed.ok || bytes > this.limits.statementBytesMax || bytes > this.limits.textBytesMax) return
    if (!(scope instanceof Scope) || !this.isLive(scope)) return
    this.removeRivals(scope, buf, start, end, lexed, plan.generic)
    while (this.size >= this.limits.entriesMax || this.textBytes + bytes > this.limits.textBytesMax)
      this.evict()
    this.link(new Entry(scope, plan, plan.generic, buf, lexed))
  }

  clear(): void {
    for (const scope of this.scopes.values()) letGo(scope)
    this.scopes.clear()
    this.scopeCount = 0
    this.table.clear()
    this.hand = undefined
    this.size = 0
    this.textBytes = 0
  }

  get stats(): PlanCacheStats {
    const { hits, misses, evictions, size, textBytes } = this
    return { hits, misses, evictions, size, textBytes }
  }

  private isLive(scope: Scope): boolean {
    return scope.version === this.version && scope.salt !== 0
  }

  private makeScope(version: number, parts: readonly string[], paramTypes: readonly number[]): Scope {
    // Clients choose search paths and parameter types: when they make too many, everybody starts again.
    if (this.scopeCount >= this.limits.scopesMax) this.clear()
    this.scopeCount++
    this.saltCount++
    return new Scope(version, parts, paramTypes, Math.imul(this.saltCount, 0x9e3779b1) | 1)
  }

  /** What the new entry replaces: one for the same text, or the oldest when there are enough for one fingerprint. */
  private removeRivals(
    scope: Scope,
    buf: Buffer,
    start: number,
    end: number,
    lexed: Lexed,
    generic: boolean,
  ): void {
    let variants = 0
    let last: Entry<P> | undefined
    let entry = this.table.get(lexed.hashA ^ scope.salt)
    while (entry !== undefined) {
      const next: Entry<P> | undefined = entry.chained
      if (entry.scope === scope && entry.generic === generic && entry.hashB === lexed.hashB) {
        if (matches(entry, buf, start, end, lexed)) {
          this.unlink(entry)
        } else if (!generic) {
          variants++
          last = entry
        }
      }
      entry = next
    }
    if (last !== undefined && variants >= this.limits.variantsMax) this.remove(last)
  }

  private link(entry: Entry<P>): void {
    const key = entry.hashA ^ entry.scope.salt
    entry.chained = this.table.get(key)
    this.table.set(key, entry)
    const hand = this.hand
    if (hand === undefined) {
      this.hand = entry
    } else {
      // Just behind the hand: it comes by last.
      entry.before = hand.before
      entry.after = hand
      hand.before.after = entry
      hand.before = entry
    }
    this.size++
    this.textBytes += entry.text.length
  }

  private unlink(entry: Entry<P>): void {
    const key = entry.hashA ^ entry.scope.salt
    const head = this.table.get(key)
    if (head === entry) {
      if (entry.chained === undefined) this.table.delete(key)
      else this.table.set(key, entry.chained)
    } else {
      let previous = head
      while (previous !== undefined && previous.chained !== entry) previous = previous.chained
      if (previous !== undefined) previous.chained = entry.chained
    }
    if (this.hand === entry) this.hand = entry.after === entry ? undefined : entry.after
    entry.before.after = entry.after
    entry.after.before = entry.before
    this.size--
    this.textBytes -= entry.text.length
  }

  private remove(entry: Entry<P>): void {
    this.unlink(entry)
    this.evictions++
  }

  /** Second chance: the hand spares each entry that was used since it last came by, once. */
  private evict(): void {
    let entry = this.hand!
    while (entry.used) {
      entry.used = false
      entry = entry.after
    }
    this.hand = entry
    this.remove(entry)
  }
}

function letGo(scope: Scope): void {
  scope.version = -1
  for (const typed of scope.typed) typed.version = -1
  scope.typed.length = 0
}

function sameNumbers(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

/** Whether the entry's plan is one for this text. */
function matches<P>(entry: Entry<P>, buf: Buffer, start: number, end: number, lexed: Lexed): boolean {
  const count = lexed.literalCount
  if (entry.hashA !== lexed.hashA || entry.hashB !== lexed.hashB || entry.kinds.length !== count) return false
  if (!entry.generic)
    return end - start === entry.text.length && sameBytes(entry.text, 0, end - start, buf, start)
  let ours = 0
  let theirs = start
  for (let i = 0; i < count; i++) {
    const until = entry.starts[i]!
    if (entry.kinds[i] !== lexed.kinds[i] || until - ours !== lexed.starts[i]! - theirs) return false
    if (!sameBytes(entry.text, ours, until, buf, theirs)) return false
    ours = entry.ends[i]!
    theirs = lexed.ends[i]!
  }
  const length = entry.text.length
  return length - ours === end - theirs && sameBytes(entry.text, ours, length, buf, theirs)
}

function sameBytes(text: Buffer, from: number, to: number, buf: Buffer, at: number): boolean {
  if (to - from > LOOP_BYTES_MAX) return text.compare(buf, at, at + to - from, from, to) === 0
  for (let p = from; p < to; p++) if (text[p] !== buf[at++]) return false
  return true
}
