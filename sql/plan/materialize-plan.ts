import type { Relation } from '../catalog.ts'
import type { PlanCommon } from './plan.ts'

/** A sharded table that the query of a materialized view reads. */
export type ReadTable = Pick<Relation, 'oid' | 'schema' | 'name'>

/** CREATE MATERIALIZED VIEW over sharded tables, and REFRESH: home runs it, with the rows of all shards at hand. */
export interface MaterializePlan extends PlanCommon {
  readonly kind: 'materialize'
  /** The view, quoted. */
  readonly view: string
  /** What its query reads; undefined: home is asked for the query (REFRESH). */
  readonly tables?: readonly ReadTable[]
  /** It reads nothing else, of any kind, and one of them. */
  readonly readsOne?: boolean
  /** CREATE: nothing is read where the name is taken. */
  readonly creates: boolean
  /** A view of this name can mean another relation in plans. */
  readonly changesMap: boolean
}
