import type pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { useTestCluster } from '../helpers/cluster.ts'
import { seededRandom } from '../helpers/naive-encoder.ts'
import { connectTo, query } from '../helpers/postgres.ts'

/** Triggers of reference tables beside other writers, and roles that may do less. */

const cluster = useTestCluster()
const clients: pg.Client[] = []

async function connect(url = cluster.current.weftUrl): Promise<pg.Client> {
  const client = await connectTo(url)
  clients.push(client)
  return client
}

const SCHEMA = `
CREATE TABLE audit (id int, n int);
CREATE TABLE stock (id int PRIMARY KEY, n int NOT NULL DEFAULT 0, changes int NOT NULL DEFAULT 0, at float8) WITH (reference = true);
CREATE TABLE orders (id int PRIMARY KEY, stock int REFERENCES stock ON DELETE CASCADE ON UPDATE CASCADE) WITH (shard_key = 'id');
CREATE FUNCTION count_changes() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.changes := OLD.changes + 1; NEW.at := random(); RETURN NEW; END $$;
CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO audit VALUES (NEW.id, NEW.n); RETURN NULL; END $$;
CREATE TRIGGER count_changes BEFORE UPDATE ON stock FOR EACH ROW EXECUTE FUNCTION count_changes();
CREATE TRIGGER audit AFTER UPDATE ON stock FOR EACH ROW EXECUTE FUNCTION audit();
INSERT INTO stock (id) SELECT generate_series(1, 20);
INSERT INTO orders SELECT g, g % 20 + 1 FROM generate_series(1, 100) g`

beforeAll(async () => {
  const client = await connect()
  for (const sql of SCHEMA.split(';\n')) await client.query(sql)
})
afterAll(() => Promise.all(clients.map((client) => client.end())))

const EXPECTED = new Set(['40001', '40P01', '23505', '23503'])

test('many writers at once: each change fires once, copies are alike', async () => {
  const wrote = await Promise.all(Array.from({ length: 6 }, (_, i) => writer(i)))
  const client = await connect()
  const { rows } = await client.query('SELECT sum(changes)::int AS n FROM stock WHERE id <= 20')
  const audited = await client.query('SELECT count(*)::int AS n FROM audit WHERE id <= 20')
  const sum = wrote.reduce((all, one) => all + one, 0)
  expect(rows).toEqual([{ n: sum }])
  expect(audited.rows).toEqual([{ n: sum }])
  expect(await copiesOf('stock')).toHaveLength(1)
})

/** The different contents that shards have. */
async function copiesOf(table: string): Promise<string[]> {
  const all = await Promise.all(
    cluster.current.weft.shards.map(({ url }) => query(url, `SELECT t::text FROM ${table} t ORDER BY 1`)),
  )
  return [...new Set(all.map((rows) => JSON.stringify(rows)))]
}

/** How many rows of 1 to 20 it has changed. */
async function writer(number: number): Promise<number> {
  const client = await connect()
  const random = seededRandom(number)
  const pick = (n: number): number => Math.floor(random() * n)
  let changed = 0
  for (let i = 0; i < 25; i++) {
    const id = pick(20) + 1
    let mine = 0
    const update = async (where: string) => {
      mine += (await client.query(`UPDATE stock SET n = n + 1 WHERE ${where}`)).rowCount!
    }
    const works = [
      () => update(`id = ${id}`),
      () => update(`id BETWEEN ${id} AND ${Math.min(id + 3, 20)}`),
      async () => {
        await client.query(pick(2) === 0 ? 'BEGIN' : 'BEGIN ISOLATION LEVEL REPEATABLE READ')
        await update(`id = ${id}`)
        await update(`id = ${(id % 20) + 1}`)
        if (pick(3) === 0) {
          mine = 0
          await client.query('ROLLBACK')
        } else await client.query('COMMIT')
      },
      () =>
        client.query(
          `INSERT INTO stock (id, n) VALUES (${100 + id}, 1) ON CONFLICT (id) DO UPDATE SET n = stock.n + 1`,
        ),
      () => client.query(`DELETE FROM stock WHERE id = ${100 + id}`),
      () => client.query(`INSERT INTO orders VALUES (${1000 + number * 100 + i}, ${id})`),
      () => client.query(`UPDATE stock SET id = id + 40 WHERE id = ${100 + id}`),
    ]
    try {
      await works[pick(works.length)]!()
      changed += mine
    } catch (error) {
      const { code = '', message } = error as pg.DatabaseError
      if (!EXPECTED.has(code)) throw new Error(`${code} ${message}`)
      await client.query('ROLLBACK')
    }
  }
  return changed
}

test('a role with rights on the table, and one that may only insert; policies', async () => {
  const admin = await connect()
  for (const sql of [
    'DROP ROLE IF EXISTS trigger_all, trigger_in',
    'CREATE ROLE trigger_all LOGIN',
    'CREATE ROLE trigger_in LOGIN',
    'CREATE TABLE notes (id int PRIMARY KEY, owner text, v text) WITH (reference = true)',
    `CREATE FUNCTION loud() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.v := upper(NEW.v); RETURN NEW; END $$`,
    'CREATE TRIGGER loud BEFORE INSERT OR UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION loud()',
    'GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO trigger_all',
    'GRANT INSERT ON notes TO trigger_in',
    'GRANT USAGE ON SCHEMA public TO trigger_all, trigger_in',
    'ALTER TABLE notes ENABLE ROW LEVEL SECURITY',
    'CREATE POLICY own ON notes USING (owner = current_user)',
    'CREATE POLICY any_in ON notes FOR INSERT WITH CHECK (true)',
  ])
    await admin.query(sql)
  const as = async (role: string, sql: string): Promise<string | number | null> => {
    await admin.query(`SET ROLE ${role}`)
    try {
      return (await admin.query(sql)).rowCount
    } catch (error) {
      return (error as pg.DatabaseError).code!
    } finally {
      await admin.query('RESET ROLE')
    }
  }
  expect(await as('trigger_all', `INSERT INTO notes VALUES (1, 'trigger_all', 'a'), (2, 'x', 'b')`)).toBe(2)
  expect(await as('trigger_all', `UPDATE notes SET v = 'c'`)).toBe(1)
  expect(await as('trigger_in', `INSERT INTO notes VALUES (3, 'x', 'd')`)).toBe(1)
  expect(await as('trigger_in', `DELETE FROM notes`)).toBe('42501')
  expect(await as('trigger_all', `DELETE FROM notes WHERE id < 3`)).toBe(1)
  // Weft's own functions are no way around that.
  expect(await as('trigger_in', `DO $$ BEGIN EXECUTE 'SELECT weft.take_changes()'; END $$`)).toBe('42501')
  expect(await as('trigger_in', `DO $$ BEGIN EXECUTE 'DELETE FROM weft.changed_row'; END $$`)).toBe('42501')
  expect((await admin.query('SELECT id, v FROM notes ORDER BY id')).rows).toEqual([
    { id: 2, v: 'B' },
    { id: 3, v: 'D' },
  ])
  expect(await copiesOf('notes')).toHaveLength(1)
  const listed = await admin.query(`SELECT tgname FROM pg_trigger WHERE tgrelid = 'notes'::regclass`)
  expect(listed.rows).toEqual([{ tgname: 'loud' }])
})
