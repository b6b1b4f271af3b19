/** Drizzle on the query library, on a plain Postgres and through Weft. */
import { and, eq, sql as raw, relations } from 'drizzle-orm'
import * as d from 'drizzle-orm/pg-core'
import { drizzle } from 'drizzle-orm/pg-proxy'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { drizzleRemote } from '../../client/drizzle.ts'
import { type Db, sql, UniqueViolation, weft } from '../../client/index.ts'
import { servers, useServers } from './servers.ts'

const people = d.pgTable('people', {
  id: d.integer().primaryKey(),
  name: d.text(),
  tags: d.text().array(),
  about: d.jsonb().$type<{ n: number }>(),
  born: d.timestamp({ withTimezone: true }),
  seen: d.timestamp({ mode: 'string' }),
  day: d.date(),
  paid: d.numeric({ precision: 8, scale: 2 }),
  visits: d.bigint({ mode: 'bigint' }),
})
const notes = d.pgTable(
  'notes',
  { person: d.integer().notNull(), id: d.integer().notNull(), name: d.text() },
  (t) => [d.primaryKey({ columns: [t.person, t.id] })],
)
const schema = {
  people,
  notes,
  ofPeople: relations(people, ({ many }) => ({ notes: many(notes) })),
  ofNotes: relations(notes, ({ one }) => ({
    person: one(people, { fields: [notes.person], references: [people.id] }),
  })),
}

const cluster = useServers()

describe.each(servers)('on %s', (server) => {
  let db: Db
  beforeAll(async () => {
    db = weft(cluster.url(server))
    const columns = `id int PRIMARY KEY, name text, tags text[], about jsonb, born timestamptz, seen timestamp, day date,
      paid numeric(8, 2), visits bigint`
    await cluster.create(server, `CREATE TABLE people (${columns})`, 'id')
    const ddl = 'CREATE TABLE notes (person int, id int, name text, PRIMARY KEY (person, id))'
    await cluster.create(server, ddl, 'person', 'people')
  })
  beforeEach(() => db.query(sql`DELETE FROM people`))
  afterAll(() => db.close())
  const on = (target: Parameters<typeof drizzleRemote>[0]) => drizzle(drizzleRemote(target), { schema })
  const named = (id: number, name: string | null) => ({ id, name })

  test('values of all kinds, and columns of one name', async () => {
    const orm = on(db)
    const row = {
      ...named(1, "it's"),
      tags: ['a', '"'],
      about: { n: 1 },
      born: new Date('2026-01-02T03:04:05.678Z'),
      seen: '2026-01-02 03:04:05.5',
      day: '2026-01-02',
      paid: '12.50',
      visits: 9007199254740993n,
    }
    expect(
      await orm
        .insert(people)
        .values([row, named(2, null)])
        .returning({ id: people.id }),
    ).toEqual([{ id: 1 }, { id: 2 }])
    expect(await orm.select().from(people).where(eq(people.id, 1))).toEqual([row])
    await orm.insert(notes).values({ person: 1, id: 7, name: 'note' })
    const joined = orm.select().from(people).innerJoin(notes, eq(notes.person, people.id))
    expect(await joined).toEqual([{ people: row, notes: { person: 1, id: 7, name: 'note' } }])
    const found = await orm.query.people.findMany({ with: { notes: true }, orderBy: people.id })
    expect(found.map((each) => each.notes.map(({ name }) => name))).toEqual([['note'], []])
    expect(await orm.execute(raw`SELECT 1 AS one`)).toEqual([{ one: 1 }])
  })

  test('errors are those of the library', async () => {
    const orm = on(db)
    await orm.insert(people).values(named(1, 'a'))
    const again = orm.insert(people).values(named(1, 'b'))
    await expect(again).rejects.toMatchObject({ cause: expect.any(UniqueViolation) })
    await expect(orm.transaction(async () => undefined)).rejects.toThrow('not supported')
  })

  test('on a transaction of the library, which is run again when it collides', async () => {
    await on(db)
      .insert(people)
      .values([named(1, 'a'), named(2, 'b')])
    let tries = 0
    await db.transaction({ isolation: 'repeatable read' }, async (tx) => {
      const orm = on(tx)
      await orm.select().from(people)
      if (++tries === 1) await on(db).update(people).set({ name: 'other' })
      await orm.update(people).set({ name: 'mine' })
      const fails = tx.savepoint((inner) => on(inner).insert(people).values(named(1, 'c')))
      await expect(fails).rejects.toThrow()
    })
    expect(tries).toBe(2)
    const mine = and(eq(people.id, 2), eq(people.name, 'mine'))
    expect(await on(db).$count(people, mine)).toBe(1)
    expect(await db.snapshot((s) => on(s).select({ name: people.name }).from(people))).toEqual([
      { name: 'mine' },
      { name: 'mine' },
    ])
  })
})
