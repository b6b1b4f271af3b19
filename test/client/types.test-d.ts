/** Types of the query library; checked by `tsc`, never run. */
import type { RemoteCallback } from 'drizzle-orm/pg-proxy'
import { expectTypeOf } from 'vitest'
import { drizzleRemote } from '../../client/drizzle.ts'
import {
  type AnyRow,
  type Db,
  type Param,
  type Result,
  Saga,
  type SagaOutcome,
  type SagaStep,
  type Snapshot,
  type Sql,
  sql,
  type Transaction,
  weft,
} from '../../client/index.ts'
import type { Containers } from '../../client/testcontainers.ts'
import {
  startTestCluster,
  type TestCluster,
  type TestClusterOptions,
  type TestSchema,
} from '../../client/testing.ts'

interface Order {
  readonly id: string
}
declare const db: Db
const orders = sql<Order>`SELECT id FROM orders`

expectTypeOf(weft).toBeCallableWith('postgres://a')
expectTypeOf(weft).toBeCallableWith(['postgres://a', 'postgres://b'])
expectTypeOf(weft).toBeCallableWith({ urls: 'postgres://a', poolMax: 3 })

// Rows have the type that the statement says.
expectTypeOf(orders).toEqualTypeOf<Sql<Order>>()
expectTypeOf(sql`SELECT 1`).toEqualTypeOf<Sql<AnyRow>>()
expectTypeOf(db.query(orders)).resolves.toEqualTypeOf<Result<Order>>()
expectTypeOf(db.many(orders)).resolves.toEqualTypeOf<Order[]>()
expectTypeOf(db.maybe(orders)).resolves.toEqualTypeOf<Order | undefined>()
expectTypeOf(db.one(orders)).resolves.toEqualTypeOf<Order>()
expectTypeOf(db.stream(orders)).toEqualTypeOf<AsyncGenerator<Order, void>>()
expectTypeOf(db.copyOut(orders)).toEqualTypeOf<AsyncGenerator<Buffer, void>>()

// A text is no statement, and undefined no parameter.
expectTypeOf<string>().not.toExtend<Parameters<Db['query']>[0]>()
expectTypeOf<{ text: string }>().not.toExtend<Sql>()
expectTypeOf<undefined>().not.toExtend<Param>()
expectTypeOf<symbol>().not.toExtend<Param>()
expectTypeOf<string | number | bigint | boolean | null | Date | Uint8Array>().toExtend<Param>()
expectTypeOf<(number | null)[][]>().toExtend<Param>()
expectTypeOf<Order>().toExtend<Param>()
expectTypeOf<Sql<Order>>().toExtend<Param>()
expectTypeOf(sql.id).parameters.toExtend<readonly [string, ...string[]]>()

// Transactions give what their function gives.
expectTypeOf(db.transaction(async () => 7)).resolves.toEqualTypeOf<number>()
expectTypeOf(
  db.transaction({ isolation: 'serializable' }, (tx) => tx.one(orders)),
).resolves.toEqualTypeOf<Order>()
expectTypeOf(db.snapshot(async (s) => s.many(orders))).resolves.toEqualTypeOf<Order[]>()
declare const tx: Transaction
expectTypeOf(tx.savepoint(async (inner) => inner)).resolves.toEqualTypeOf<Transaction>()
expectTypeOf<'dirty'>().not.toExtend<
  NonNullable<Parameters<Db['transaction']>[0] & { isolation: unknown }>['isolation']
>()

// A snapshot writes nothing by COPY, and has no savepoints.
expectTypeOf<Snapshot>().not.toHaveProperty('copyIn')
expectTypeOf<Snapshot>().not.toHaveProperty('savepoint')
expectTypeOf<Transaction>().toHaveProperty('copyIn')

// The input of a saga is that of its steps.
const saga = new Saga<Order>(db, 'order', [{ name: 'mail', call: async ({ id }) => id, onError: 'retry' }])
expectTypeOf(saga.run).parameters.toEqualTypeOf<[string, Order]>()
expectTypeOf(saga.run('a', { id: '1' })).resolves.toEqualTypeOf<SagaOutcome>()
expectTypeOf(saga.resume()).resolves.toEqualTypeOf<ReadonlyMap<string, SagaOutcome>>()
expectTypeOf<Parameters<NonNullable<SagaStep<Order>['run']>>>().toEqualTypeOf<[Transaction, Order, unknown]>()
expectTypeOf<'ignore'>().not.toExtend<NonNullable<SagaStep<Order>['onError']>>()

// What is used of testcontainers is what it has.
expectTypeOf<typeof import('testcontainers')>().toExtend<Containers>()
expectTypeOf(startTestCluster).toBeCallableWith({ with: 'docker', image: 'weft:1', shards: 3 })
expectTypeOf<'podman'>().not.toExtend<NonNullable<TestClusterOptions['with']>>()
expectTypeOf(startTestCluster()).resolves.toEqualTypeOf<TestCluster>()
expectTypeOf<TestCluster['schema']>().returns.resolves.toEqualTypeOf<TestSchema>()

// Drizzle takes it.
expectTypeOf(drizzleRemote).returns.toExtend<RemoteCallback>()
