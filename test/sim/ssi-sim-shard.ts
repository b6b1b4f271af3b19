/**
 * A model of SERIALIZABLE on one Postgres: predicate.c (15 to 18), rule by rule, on rows and ranges instead of pages. A
 * row is updated by one transaction at a time; into a range everybody inserts. Left out is only what Postgres does
 * when it runs out of memory for conflicts.
 */

/** 40001: what somebody else did meanwhile is in the way. */
export class SerializationFailure extends Error {}

/** The server was restarted under it. */
export class ConnectionLost extends Error {}

/** Whom a transaction belongs to; a probe belongs to nobody. */
export const NOBODY = -1

/** A transaction on one shard (SERIALIZABLEXACT). */
export class Sxact {
  readonly owner: number
  readonly isDeclaredReadOnly: boolean
  isReadOnly: boolean
  isDoomed = false
  isPrepared = false
  isCommitted = false
  /** Rolled back, or lost. */
  isOver = false
  didWrite = false
  /** It has a conflict out to one that committed before it. */
  hasConflictOut = false
  earliestOutConflictCommit = Number.POSITIVE_INFINITY
  /** After a restart: conflicts of which nothing is known. */
  isRecovered = false
  /** It was committed before a restart: nothing is known of it but its rows. */
  isForgotten = false
  /** READ ONLY, and nothing that was under way can make its snapshot one of no serial order. */
  isSafe = false
  readonly mayMakeUnsafe = new Set<Sxact>()
  /** rw-conflicts: those that overwrote what it has read, and those whose reads it has overwritten. */
  readonly out = new Set<Sxact>()
  readonly in = new Set<Sxact>()
  prepareSeq = Number.POSITIVE_INFINITY
  commitSeq = Number.POSITIVE_INFINITY
  lastCommitBeforeSnapshot: number
  /** The place of its commit among all of the shard. */
  place = Number.POSITIVE_INFINITY
  /** So many commits are in its snapshot, and everything below `xmin` was over. */
  readonly snapshot: number
  readonly xmin: number
  xid: number | undefined
  finishedBefore = Number.POSITIVE_INFINITY

  constructor(owner: number, isReadOnly: boolean, at: { commits: number; xmin: number; seq: number }) {
    this.owner = owner
    this.isDeclaredReadOnly = isReadOnly
    this.isReadOnly = isReadOnly
    this.snapshot = at.commits
    this.xmin = at.xmin
    this.lastCommitBeforeSnapshot = at.seq
  }
}

interface Key {
  /** Of its versions, in order; those of transactions that were rolled back are taken out. */
  readonly writers: Sxact[]
  /** SIREAD locks. */
  readonly readers: Set<Sxact>
}

export class SsiShard {
  private readonly keys = new Map<string, Key>()
  /** All that something may still be in conflict with. */
  private known = new Set<Sxact>()
  private seq = 1
  private commits = 0
  private nextXid = 1

  begin(owner: number, isReadOnly = false): Sxact {
    const running = [...this.known].filter((sxact) => isRunning(sxact))
    const xmin = Math.min(this.nextXid, ...running.flatMap(({ xid }) => xid ?? []))
    const me = new Sxact(owner, isReadOnly, { commits: this.commits, xmin, seq: this.seq })
    if (isReadOnly) {
      for (const other of running) if (!other.isDoomed && !other.isReadOnly) me.mayMakeUnsafe.add(other)
      me.isSafe = me.mayMakeUnsafe.size === 0
    }
    this.known.add(me)
    return me
  }

  /** The owners of all versions that it sees. */
  read(me: Sxact, name: string): readonly number[] {
    this.assertLives(me)
    const key = this.key(name)
    const tracks = !me.isSafe
    if (tracks) key.readers.add(me)
    const seen: number[] = []
    for (const writer of key.writers) {
      if (writer === me || writer.place <= me.snapshot) seen.push(writer.owner)
      else if (tracks) this.conflictOut(me, writer)
    }
    return seen
  }

  /** An SIREAD lock, without a look at what is there. */
  takeLock(me: Sxact, name: string): void {
    this.key(name).readers.add(me)
  }

  /** False: somebody else has the row; try again later. */
  write(me: Sxact, name: string, isRange: boolean): boolean {
    this.assertLives(me)
    const key = this.key(name)
    const last = key.writers.at(-1)
    if (!isRange && last !== undefined && last !== me) {
      if (!last.isCommitted) return false
      if (last.place > me.snapshot) throw new SerializationFailure('concurrent update')
    }
    me.xid ??= this.nextXid++
    this.conflictsIn(me, key)
    // Who wrote the row keeps others from writing it.
    if (!isRange) key.readers.delete(me)
    key.writers.push(me)
    me.didWrite = true
    return true
  }

  private conflictOut(me: Sxact, writer: Sxact): void {
    if (me.isDoomed) throw new SerializationFailure('pivot, during conflict out checking')
    if (writer.isForgotten || writer.isDoomed) return
    if (writer.isRecovered) {
      if (writer.isPrepared) throw new SerializationFailure('conflict out to old pivot')
    }
    const isHarmless =
      !writer.hasConflictOut || me.lastCommitBeforeSnapshot < writer.earliestOutConflictCommit
    if (me.isReadOnly && writer.isCommitted && isHarmless) return
    this.flag(me, writer, me)
  }

  private conflictsIn(me: Sxact, key: Key): void {
    if (me.isDoomed) throw new SerializationFailure('pivot, during conflict in checking')
    for (const reader of key.readers) {
      if (reader === me || reader.isDoomed) continue
      if (reader.isCommitted && me.xmin >= reader.finishedBefore) continue
      this.flag(reader, me, me)
    }
  }

  private flag(reader: Sxact, writer: Sxact, me: Sxact): void {
    if (reader.isDoomed || writer.isDoomed || reader.out.has(writer)) return
    if (isDangerous(reader, writer)) {
      if (me === writer) throw new SerializationFailure('pivot, during write')
      if (writer.isPrepared) throw new SerializationFailure('conflict out to pivot, during read')
      writer.isDoomed = true
    }
    reader.out.add(writer)
    writer.in.add(reader)
  }

  // Ends

  prepare(me: Sxact): void {
    this.assertLives(me)
    this.preCommit(me)
    me.isPrepared = true
    me.didWrite = true
  }

  commit(me: Sxact): void {
    this.assertLives(me)
    if (!me.isSafe) this.preCommit(me)
    this.release(me)
  }

  commitPrepared(me: Sxact): void {
    if (me.isPrepared && !me.isCommitted && !me.isOver) this.release(me)
  }

  rollback(me: Sxact): void {
    if (me.isOver || me.isCommitted) return
    me.isOver = true
    me.isDoomed = true
    me.isPrepared = false
    this.freeReadOnly(me)
    for (const other of me.out) other.in.delete(me)
    for (const other of me.in) other.out.delete(me)
    me.out.clear()
    me.in.clear()
    this.known.delete(me)
    for (const { writers, readers } of this.keys.values()) {
      readers.delete(me)
      for (let i = writers.length - 1; i >= 0; i--) if (writers[i] === me) writers.splice(i, 1)
    }
  }

  private preCommit(me: Sxact): void {
    if (me.isDoomed) throw new SerializationFailure('pivot, during commit attempt')
    for (const near of me.in) {
      if (near.isCommitted || near.isDoomed) continue
      for (const far of near.in) {
        if (far !== me && (far.isCommitted || far.isReadOnly || far.isDoomed)) continue
        if (near.isPrepared) throw new SerializationFailure('conflict in from prepared pivot')
        near.isDoomed = true
        break
      }
    }
    me.prepareSeq = ++this.seq
  }

  private release(me: Sxact): void {
    me.isPrepared = true
    me.isCommitted = true
    me.commitSeq = ++this.seq
    me.place = ++this.commits
    me.finishedBefore = this.nextXid
    if (!me.didWrite) me.isReadOnly = true
    for (const other of me.out) {
      if (!other.isCommitted) continue
      if (!me.isReadOnly) {
        me.hasConflictOut = true
        me.earliestOutConflictCommit = Math.min(me.earliestOutConflictCommit, other.prepareSeq)
      }
      unlink(me, other)
    }
    for (const other of me.in) if (other.isCommitted || other.isReadOnly) unlink(other, me)
    this.freeReadOnly(me)
    this.forgetOld()
  }

  /** READ ONLY transactions that began while `me` was under way. */
  private freeReadOnly(me: Sxact): void {
    if (me.isDeclaredReadOnly) return
    for (const reader of this.known) {
      if (!reader.mayMakeUnsafe.has(me)) continue
      const isUnsafe =
        me.isCommitted &&
        me.didWrite &&
        me.hasConflictOut &&
        me.earliestOutConflictCommit <= reader.lastCommitBeforeSnapshot
      reader.mayMakeUnsafe.delete(me)
      if (isUnsafe) reader.mayMakeUnsafe.clear()
      else if (reader.mayMakeUnsafe.size === 0) this.becameSafe(reader)
    }
  }

  private becameSafe(me: Sxact): void {
    me.isSafe = true
    for (const { readers } of this.keys.values()) readers.delete(me)
    for (const other of me.out) other.in.delete(me)
    me.out.clear()
  }

  /** Committed, and nobody runs who began before that. */
  private forgetOld(): void {
    const oldest = Math.min(...[...this.known].filter(isRunning).map(({ xmin }) => xmin))
    for (const sxact of this.known) {
      if (!sxact.isCommitted || sxact.finishedBefore > oldest) continue
      this.known.delete(sxact)
      for (const { readers } of this.keys.values()) readers.delete(sxact)
    }
  }

  /** Prepared transactions come back with their locks, and with marks in place of their conflicts. */
  restart(): void {
    for (const sxact of this.known) {
      if (sxact.isCommitted) {
        for (const { readers } of this.keys.values()) readers.delete(sxact)
        sxact.isForgotten = true
        this.known.delete(sxact)
      } else if (!sxact.isPrepared) this.rollback(sxact)
    }
    for (const sxact of this.known) {
      sxact.out.clear()
      sxact.in.clear()
      sxact.isRecovered = true
      sxact.prepareSeq = 1
      sxact.lastCommitBeforeSnapshot = 1
    }
  }

  prepared(): readonly Sxact[] {
    return [...this.known].filter((sxact) => sxact.isPrepared && !sxact.isCommitted)
  }

  hasWritten(sxact: Sxact, name: string): boolean {
    return this.key(name).writers.includes(sxact)
  }

  private assertLives(me: Sxact): void {
    if (me.isOver) throw new ConnectionLost()
  }

  private key(name: string): Key {
    let key = this.keys.get(name)
    if (key === undefined) {
      key = { writers: [], readers: new Set() }
      this.keys.set(name, key)
    }
    return key
  }
}

function isRunning({ isCommitted, isOver }: Sxact): boolean {
  return !isCommitted && !isOver
}

function unlink(reader: Sxact, writer: Sxact): void {
  reader.out.delete(writer)
  writer.in.delete(reader)
}

/** OnConflict_CheckForSerializationFailure. */
function isDangerous(reader: Sxact, writer: Sxact): boolean {
  if (writer.isCommitted && writer.hasConflictOut) return true
  if (writer.isRecovered) return true
  for (const last of writer.out) {
    if (
      last.isPrepared &&
      (!reader.isCommitted || last.prepareSeq <= reader.commitSeq) &&
      (!writer.isCommitted || last.prepareSeq <= writer.commitSeq) &&
      (!reader.isReadOnly || last.prepareSeq <= reader.lastCommitBeforeSnapshot)
    )
      return true
  }
  if (!writer.isPrepared || reader.isReadOnly) return false
  if (reader.isRecovered) return true
  for (const first of reader.in) {
    if (
      !first.isDoomed &&
      (!first.isCommitted || first.commitSeq >= writer.prepareSeq) &&
      (!first.isReadOnly || first.lastCommitBeforeSnapshot >= writer.prepareSeq)
    )
      return true
  }
  return false
}
