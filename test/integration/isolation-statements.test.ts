import type pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { COPY_DONE, copyData, query as queryMessage } from '../../protocol/wire/frontend-messages.ts'
import { codeOf, lockWaiters, useAccounts } from '../helpers/accounts.ts'
import { connectTo, query } from '../helpers/postgres.ts'
import { WireClient } from '../helpers/wire-client.ts'

const accounts = useAccounts()
let home: pg.Client

const SCHEMA = `
  CREATE TABLE note (id int, words text);
  CREATE TABLE late (id int UNIQUE DEFERRABLE INITIALLY DEFERRED);
  INSERT INTO note VALUES (1, 'one');
  CREATE MATERIALIZED VIEW note_count AS SELECT count(*)::int AS n FROM note;
  CREATE PROCEDURE add_note(INOUT id int) LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO note VALUES (id, 'called'); id := id + 1; END $$;
  CREATE PROCEDURE add_by_other() LANGUAGE plpgsql AS $$ DECLARE n int := 7; BEGIN CALL add_note(n); END $$;
  CREATE PROCEDURE add_and_commit() LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO late VALUES (1); COMMIT; INSERT INTO note VALUES (9, 'committed'); END $$;
`
const UNDO = `
  DROP TABLE IF EXISTS note_copy, note_into;
  DROP MATERIALIZED VIEW IF EXISTS note_view, note_count;
  DROP TABLE note, late;
  DROP PROCEDURE add_note(int);
  DROP PROCEDURE add_by_other();
  DROP PROCEDURE add_and_commit();
`

beforeEach(async () => {
  home = await connectTo(accounts.cluster.weft.shards[0]!.url)
  for (const sql of SCHEMA.split(/;\n/)) if (sql.trim() !== '') await query(accounts.cluster.weftUrl, sql)
})

afterEach(async () => {
  await home.end()
  await query(accounts.cluster.weftUrl, UNDO)
})

/** In this order: some need what came before. With the number of rows in `note` afterwards. */
const statements: readonly (readonly [string, string, number])[] = [
  ['CREATE TABLE note_copy AS SELECT * FROM note', 'SELECT', 1],
  ['SELECT * INTO note_into FROM note', 'SELECT', 1],
  ['CREATE MATERIALIZED VIEW note_view AS SELECT * FROM note', 'SELECT', 1],
  ['REFRESH MATERIALIZED VIEW note_count', 'REFRESH', 1],
  ['ALTER TABLE note ADD COLUMN more int', 'ALTER', 1],
  ['ALTER TABLE note DROP COLUMN more', 'ALTER', 1],
  ["DO $$ BEGIN INSERT INTO note VALUES (2, 'done'); END $$", 'DO', 2],
  ["DO $$ BEGIN EXECUTE 'INSERT INTO note VALUES ($1)' USING 3; END $$", 'DO', 3],
  ['DO $$ DECLARE n int := 7; BEGIN CALL add_note(n); END $$', 'DO', 4],
  ['CALL add_note(4)', 'CALL', 5],
  ['CALL add_by_other()', 'CALL', 6],
  ["EXPLAIN ANALYZE INSERT INTO note VALUES (5, 'explained')", 'EXPLAIN', 7],
  ['TRUNCATE note', 'TRUNCATE', 0],
]

const countRows = async (table: string) =>
  (await home.query<{ n: number }>(`SELECT count(*)::int AS n FROM ${table}`)).rows[0]!.n

async function readsGoOn(reader: pg.Client, sql: string): Promise<void> {
  for (let i = 0; i < 2; i++) {
    const read = reader.query('SELECT count(*)::int AS n FROM account').catch((error: Error) => error)
    expect(await read, sql).toMatchObject({ rows: [{ n: 60 }] })
  }
}

describe('reads over all shards, and statements that commit by themselves and wait for a lock', () => {
  it.each(['simple', 'extended'])('keep none waiting, and go through: %s protocol', async (protocol) => {
    const [session, reader] = [await accounts.connect(), await accounts.connect()]
    for (const [sql, tag, rows] of statements) {
      await home.query('BEGIN; LOCK TABLE note IN ACCESS EXCLUSIVE MODE')
      const done = session.query(protocol === 'simple' ? sql : { name: sql.slice(0, 60), text: sql })
      done.catch(() => {})
      await lockWaiters(accounts, 0, 1)
      await readsGoOn(reader, sql)
      await lockWaiters(accounts, 0, 1)
      await home.query('COMMIT')
      expect((await done).command, sql).toBe(tag)
      expect(await countRows('note'), sql).toBe(rows)
    }
  })

  it('nor does a COPY that waits for its client, or for a lock', async () => {
    const { host, port } = accounts.cluster.weft
    const [client, reader] = [await WireClient.connect({ host, port }), await accounts.connect()]
    const waits = queryMessage('COPY note (id) FROM STDIN')
    await home.query('BEGIN; LOCK TABLE note IN ACCESS EXCLUSIVE MODE')
    client.write(waits)
    await lockWaiters(accounts, 0, 1)
    await readsGoOn(reader, 'COPY, locked out')
    await home.query('COMMIT')
    await client.until('CopyInResponse')
    client.write(copyData('11\n12\n'))
    await readsGoOn(reader, 'COPY, open')
    client.write(Buffer.concat([copyData('13\n'), COPY_DONE]))
    const said = (await client.until('ReadyForQuery')).map(({ name }) => name)
    expect(said).toEqual(['CommandComplete', 'ReadyForQuery'])
    expect(await countRows('note')).toBe(4)
    client.end()
  })

  it('an error of the commit is the answer', async () => {
    const session = await accounts.connect()
    for (const sql of [
      'DO $$ BEGIN INSERT INTO late VALUES (1), (1); END $$',
      'CREATE TABLE x AS SELECT 1/0',
    ]) {
      expect(await codeOf(session.query(sql))).toMatch(/^(23505|22012)$/)
    }
    expect(await codeOf(session.query('CREATE TABLE x AS SELECT $1'))).toBe('42P02')
    expect(await countRows('late')).toBe(0)
  })
})

describe('what commits in its midst', () => {
  it.each([
    ['simple', 'CALL add_and_commit()'],
    ['extended', 'CALL add_and_commit()'],
    ['simple', 'DO $$ BEGIN CALL add_and_commit(); END $$'],
  ])('is run once, also when a read had to wait for it: %s protocol, %s', async (protocol, sql) => {
    const [session, reader] = [await accounts.connect(), await accounts.connect()]
    await home.query('BEGIN; LOCK TABLE note IN ACCESS EXCLUSIVE MODE')
    const done = codeOf(session.query(protocol === 'simple' ? sql : { name: 'c', text: sql }))
    await lockWaiters(accounts, 0, 1)
    expect(await countRows('late')).toBe(1)
    await reader.query("SET statement_timeout = '500ms'")
    expect(await codeOf(reader.query('SELECT count(*) FROM account'))).toMatch(/^(57014|40001)$/)
    await home.query('COMMIT')
    expect(await done).toBe('ok')
    expect([await countRows('late'), await countRows('note')]).toEqual([1, 2])
  })

  it('a procedure that is replaced by one that does is run as what it is now', async () => {
    const session = await accounts.connect()
    await session.query('CALL add_note(4)')
    await session.query(`CREATE OR REPLACE PROCEDURE add_note(INOUT id int) LANGUAGE plpgsql AS
      $$ BEGIN INSERT INTO note VALUES (id); COMMIT; LOCK TABLE late; ROLLBACK; id := 0; END $$`)
    await home.query('BEGIN; LOCK TABLE late')
    for (const sql of ['CALL add_note(5)', 'CALL add_by_other()']) {
      const done = codeOf(session.query(sql))
      await lockWaiters(accounts, 0, 1)
      const reader = await accounts.connect()
      await reader.query("SET statement_timeout = '500ms'")
      expect(await codeOf(reader.query('SELECT count(*) FROM account')), sql).toMatch(/^(57014|40001)$/)
      await home.query('COMMIT')
      expect(await done, sql).toBe('ok')
      await home.query('BEGIN; LOCK TABLE late')
    }
    await home.query('COMMIT')
  })
})
