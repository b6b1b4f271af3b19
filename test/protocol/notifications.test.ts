import pg from 'pg'
import { beforeAll, expect, test } from 'vitest'
import { query as queryMessage } from '../../protocol/wire/frontend-messages.ts'
import { createTwins, useTestCluster } from '../helpers/cluster.ts'
import { query } from '../helpers/postgres.ts'
import { WireClient } from '../helpers/wire-client.ts'
import { transcript } from '../helpers/wire-script.ts'

const cluster = useTestCluster()

const TELLS = `CREATE FUNCTION tells() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN PERFORM pg_notify(''told'', TG_OP || '' '' || new.k); RETURN new; END'`
const TRIGGER = 'CREATE TRIGGER tells AFTER INSERT OR UPDATE ON parts FOR EACH ROW EXECUTE FUNCTION tells()'

beforeAll(async () => {
  await createTwins(cluster.current, 'CREATE TABLE parts (k int PRIMARY KEY, v int)', { shard_key: 'k' })
  for (const sql of [TELLS, TRIGGER]) await query(cluster.current.weftUrl, sql)
})

const rows = Array.from({ length: 9 }, (_, i) => i + 1)

async function say(client: WireClient, sql: string): Promise<string> {
  client.write(queryMessage(sql))
  return (await client.until('ReadyForQuery')).map(({ text }) => text).join('\n')
}

async function payloads(client: WireClient, count: number): Promise<string[]> {
  const messages = await client.until('NotificationResponse', count)
  return messages.filter(({ name }) => name === 'NotificationResponse').map(({ text }) => text)
}

test('what triggers notify on any shard is heard, once, by whoever listens', async () => {
  const { weft } = cluster.current
  const clients = [await WireClient.connect(weft), await WireClient.connect(weft)]
  const [listener, writer] = clients as [WireClient, WireClient]
  try {
    await say(listener, 'LISTEN told; LISTEN "other one"')
    for (const k of rows) await say(writer, `INSERT INTO parts VALUES (${k}, 0)`)
    const heard = await payloads(listener, rows.length)
    for (const k of rows) expect(heard.filter((text) => text.includes(`INSERT ${k}`))).toHaveLength(1)
    // Not before the commit, and not at all without it.
    await say(writer, 'BEGIN; UPDATE parts SET v = 1 WHERE k = 1; ROLLBACK')
    await say(writer, 'BEGIN; UPDATE parts SET v = 1 WHERE k = 2; COMMIT')
    expect(await payloads(listener, 1)).toEqual([expect.stringContaining('UPDATE 2')])
    await say(listener, 'UNLISTEN told')
    for (const k of rows) await say(writer, `UPDATE parts SET v = 2 WHERE k = ${k}`)
    await say(writer, `NOTIFY "other one", 'last'`)
    expect(await payloads(listener, 1)).toEqual([expect.stringContaining('last')])
    await say(listener, 'UNLISTEN *')
    expect(listener.names()).toEqual([])
  } finally {
    for (const client of clients) client.end()
  }
})

test("one's own notifications carry one's own number, from whatever shard they come", async () => {
  const client = new pg.Client(cluster.current.weftUrl)
  await client.connect()
  try {
    const senders: number[] = []
    client.on('notification', ({ processId }) => senders.push(processId))
    await client.query('BEGIN; LISTEN told; COMMIT')
    for (const k of rows) await client.query(`UPDATE parts SET v = 3 WHERE k = ${k}`)
    const { processID } = client as unknown as { processID: number }
    expect(senders).toEqual(rows.map(() => processID))
  } finally {
    await client.end()
  }
})

test('a transaction over several shards whose code notifies: refused, with what to do', async () => {
  const lines = await transcript(cluster.current.weft, [
    'UPDATE parts SET v = 4',
    "BEGIN; UPDATE parts SET v = v; NOTIFY told, 'by the client'; ROLLBACK",
    'SELECT count(*) FROM parts WHERE v = 4',
  ])
  const text = lines.join('\n')
  expect(text).toMatch(/C=0A000 M=a transaction over several shards in which code .* notifies or listens/)
  expect(text).toContain('D=Refusal notify_in_code, see docs/sql.md.')
  expect(text).toContain('H=Call weft.notify(channel, payload) there')
  expect(text).toContain('DataRow "0"')
})

test('code that notifies on the home shard, in a transaction over several: heard once, when it commits', async () => {
  const lines = await transcript(cluster.current.weft, [
    "CREATE TABLE quiet (k int PRIMARY KEY, v int) WITH (shard_key = 'k')",
    'INSERT INTO quiet SELECT i, 0 FROM generate_series(1, 9) i',
    'CREATE TABLE jobs (id serial PRIMARY KEY, what text)',
    `CREATE FUNCTION added() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN PERFORM pg_notify('jobs', NEW.what); RETURN NULL; END $$`,
    'CREATE TRIGGER added AFTER INSERT ON jobs FOR EACH ROW EXECUTE FUNCTION added()',
  ])
  expect(lines.filter((line) => line.startsWith('ErrorResponse'))).toEqual([])
  const { weft } = cluster.current
  const [listener, writer] = [await WireClient.connect(weft), await WireClient.connect(weft)]
  try {
    await say(listener, 'LISTEN jobs')
    await say(
      writer,
      "BEGIN; UPDATE quiet SET v = 1; INSERT INTO jobs (what) VALUES ('taken back'); ROLLBACK",
    )
    await say(writer, "BEGIN; UPDATE quiet SET v = 1; INSERT INTO jobs (what) VALUES ('done'); COMMIT")
    expect(await payloads(listener, 1)).toEqual([expect.stringContaining('done')])
    expect(await say(writer, 'SELECT sum(v) FROM quiet')).toContain('DataRow "9"')
  } finally {
    for (const client of [listener, writer]) client.end()
  }
})

const KEEPS = `CREATE FUNCTION keeps() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN PERFORM weft.notify('kept', new.k || ' is ' || new.v); RETURN NULL; END $$`

test('weft.notify in triggers, in transactions over several shards: heard once, when they commit, in order', async () => {
  const { weft } = cluster.current
  for (const sql of [
    "CREATE TABLE told (k int PRIMARY KEY, v int) WITH (shard_key = 'k')",
    KEEPS,
    'CREATE TRIGGER keeps AFTER INSERT OR UPDATE ON told FOR EACH ROW EXECUTE FUNCTION keeps()',
  ])
    await query(cluster.current.weftUrl, sql)
  const [listener, writer] = [await WireClient.connect(weft), await WireClient.connect(weft)]
  const isWhole = (said: string): boolean => !said.includes('ErrorResponse')
  try {
    await say(listener, 'LISTEN kept')
    expect(await say(writer, 'INSERT INTO told SELECT i, 0 FROM generate_series(1, 9) i')).not.toMatch(
      /Error|Notice/,
    )
    expect((await payloads(listener, 9)).filter((text) => text.includes(' is 0'))).toHaveLength(9)
    for (const isolation of ['READ COMMITTED', 'SERIALIZABLE']) {
      await say(writer, 'BEGIN; UPDATE told SET v = 1; ROLLBACK')
      await say(writer, `BEGIN ISOLATION LEVEL ${isolation}`)
      await say(writer, 'SAVEPOINT s; UPDATE told SET v = 2 WHERE k < 5; ROLLBACK TO s')
      for (const v of [3, 4, 5, 3]) expect(isWhole(await say(writer, `UPDATE told SET v = ${v}`))).toBe(true)
      expect(await say(writer, 'COMMIT')).toContain('COMMIT')
      const heard = await payloads(listener, 27)
      // What is told twice in one transaction is heard once.
      for (const k of rows) {
        const ofRow = heard.map((text) => new RegExp(`\\b${k} is (.)`).exec(text)?.[1]).filter(Boolean)
        expect(ofRow).toEqual(['3', '4', '5'])
      }
    }
    // By itself, on one shard, and where nothing may be written.
    await say(writer, 'UPDATE told SET v = 6 WHERE k = 3')
    expect(await payloads(listener, 1)).toEqual([expect.stringContaining('3 is 6')])
    await say(writer, "BEGIN READ ONLY; SELECT weft.notify('kept', 'read only'); COMMIT")
    expect(await payloads(listener, 1)).toEqual([expect.stringContaining('read only')])
    await say(writer, "SELECT weft.notify('kept')")
    expect(await payloads(listener, 1)).toHaveLength(1)
    await say(writer, "SELECT weft.notify('kept', 'of ' || k) FROM told WHERE k < 4")
    expect(await payloads(listener, 3)).toHaveLength(3)
    expect(await say(writer, "SELECT weft.notify('')")).toContain('C=22023 M=channel name cannot be empty')
  } finally {
    for (const client of [listener, writer]) client.end()
  }
})
