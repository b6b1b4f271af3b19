/**
 * Postgres prints a definition (`pg_get_viewdef`, `pg_get_expr`, …) under a lock on the relations in it. A transaction
 * that has locked one of them may stay open for as long as it likes, and even wait for the very catalog that is being
 * read. So nobody waits here: what cannot be printed now is left out, and who needs it waits for the lock himself.
 */
import { PgError } from '../../errors/pg-error.ts'

/** Those that other transactions hold, or ask for, in a way that keeps readers out. */
export const lockedRelationsSql = `
SELECT DISTINCT l.relation FROM pg_locks l
WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND l.pid IS DISTINCT FROM pg_backend_pid()
  AND l.relation >= 16384 AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`

/** SQL expressions: the number of a locked relation in something, or NULL. */
export class LockedRelations {
  private readonly list: string

  constructor(oids: readonly string[]) {
    this.list = oids.join(', ')
  }

  get isEmpty(): boolean {
    return this.list === ''
  }

  /** Of a relation by itself. */
  of(relid: string): string {
    return this.isEmpty ? 'NULL::oid' : `CASE WHEN ${relid} IN (${this.list}) THEN ${relid} END`
  }

  /** Of what an object (a rule, a policy, a function) depends on. */
  under(catalog: string, objid: string): string {
    if (this.isEmpty) return 'NULL::oid'
    return `(SELECT min(locked.refobjid) FROM pg_depend locked
      WHERE locked.classid = '${catalog}'::regclass AND locked.objid = ${objid}
        AND locked.refclassid = 'pg_class'::regclass AND locked.refobjid IN (${this.list}))`
  }

  /** The text, where nothing in it is locked; else NULL. */
  unless(locked: string, text: string): string {
    return this.isEmpty ? text : `CASE WHEN ${locked} IS NULL THEN ${text} END`
  }
}

/** What the relation is could not be read. Who catches it waits for the lock, and plans again. */
export class RelationLocked extends Error {
  override readonly name = 'RelationLocked'
  readonly relation: string
  /** Number of the relation that is locked: this one, or one of those that it is a view of. */
  readonly lockedBy: number

  constructor(relation: string, lockedBy: number) {
    super(`could not obtain lock on relation "${relation}"`)
    this.relation = relation
    this.lockedBy = lockedBy
  }

  /** For a client whose statement cannot be planned again. */
  asPgError(): PgError {
    return new PgError({ code: '55P03', message: this.message }, { cause: this })
  }
}
