import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ExplainedFile } from '../../admin/api/schemas.ts'
import { useAccounts } from '../helpers/accounts.ts'
import { query } from '../helpers/postgres.ts'
import { runWeft } from '../helpers/weft-process.ts'

const accounts = useAccounts()
const dir = mkdtempSync(join(tmpdir(), 'weft-explain-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

const url = (): string => accounts.cluster.weftUrl

beforeAll(async () => {
  await query(
    url(),
    'CREATE TABLE shop (id int PRIMARY KEY, name text); CREATE TABLE currency (code text PRIMARY KEY)',
  )
  await query(url(), "SELECT create_reference_table('currency')")
  await query(url(), 'CREATE SCHEMA eu; CREATE TABLE eu.visit (id int PRIMARY KEY)')
})

const STATEMENTS = `SELECT amount FROM account WHERE id = $1;
UPDATE account SET amount = amount + $1 WHERE id = $2;
SELECT count(*) FROM account;
SELECT a.id FROM account a JOIN account b ON b.amount = a.id;
DELETE FROM shop;
DROP TABLE account;
SELECT create_distributed_table('shop', 'id');
INSERT INTO currency VALUES ('EUR');
ALTER TABLE account ADD UNIQUE (amount);
SELECT * FROM visit;
SELECT * FRO account;
`

async function weft(sql: string, ...flags: string[]) {
  const file = join(dir, 'statements.sql')
  writeFileSync(file, sql)
  const { code, stdout, stderr } = await runWeft([
    ...['explain', file, '--admin', accounts.cluster.weft.adminUrl],
    ...flags,
  ]).finished
  return { code, out: stdout, err: stderr.trimEnd() }
}

const state = async () => [
  await query(url(), 'SELECT * FROM weft.tables ORDER BY 1, 2'),
  await query(url(), 'SELECT count(*) AS n, sum(amount) AS sum FROM account'),
  await query(url(), 'SELECT count(*) AS n FROM currency'),
]

describe('weft explain', () => {
  it('tells how each statement would be run, and runs none', async () => {
    const before = await state()
    const { code, out, err } = await weft(STATEMENTS, '--json')
    expect([code, err]).toEqual([0, ''])
    const { statements, totals } = JSON.parse(out) as ExplainedFile
    expect(statements.map(({ line, reach, id }) => [line, reach, ...(id === undefined ? [] : [id])])).toEqual(
      [
        [1, 'one'],
        [2, 'one'],
        [3, 'all'],
        [4, 'moves'],
        [5, 'local'],
        [6, 'all'],
        [7, 'moves'],
        [8, 'all'],
        [9, 'refused', 'unique_without_key'],
        [10, 'refused', '42P01'],
        [11, 'refused', '42601'],
      ],
    )
    expect(totals).toEqual({ local: 1, one: 2, some: 0, all: 3, moves: 2, refused: 3 })
    expect(await state()).toEqual(before)
  })

  it('is a table for people', async () => {
    const sql = 'SELECT amount\n  FROM account WHERE id = $1;\nSELECT count(*) FROM account'
    const { code, out } = await weft(sql)
    expect(code).toBe(0)
    expect(out.split('\n').map((line) => line.replaceAll(/ {2,}/g, '  '))).toEqual([
      '  line  where  statement  why',
      '  1  one shard  SELECT amount FROM account WHERE id = $1  by account.id',
      '  3  all shards  SELECT count(*) FROM account  partial aggregates of the shards are combined',
      '',
      '2 statements: 1 one shard, 1 all shards',
      '',
    ])
    expect((await weft('-- nothing')).out).toBe('no statements\n')
  })

  it('exits with 1 where there is what must not be', async () => {
    const all = 'SELECT * FROM account'
    expect((await weft(all, '--fail-on', 'refused,moves')).code).toBe(0)
    expect((await weft(all, '--fail-on', 'scatter')).code).toBe(1)
    expect((await weft('SELECT * FROM account WHERE id IN (1, 2)', '--fail-on', 'scatter')).code).toBe(1)
    expect(
      (await weft('SELECT a.id FROM account a JOIN account b ON b.amount = a.id', '--fail-on', 'moves')).code,
    ).toBe(1)
    expect((await weft('SELECT * FROM none', '--fail-on', 'refused', '--json')).code).toBe(1)
    expect((await weft(all, '--fail-on', 'much')).err).toContain('scatter, moves, refused')
  })

  it('reads standard input, and names as by the search path that it is told', async () => {
    const child = spawn(process.execPath, [
      ...[
        'bin/weft.js',
        'explain',
        '-',
        '--admin',
        accounts.cluster.weft.adminUrl,
        '--search-path',
        'eu, public',
      ],
    ])
    child.stdin.end('SELECT * FROM visit')
    expect(await text(child.stdout)).toContain('1 statements: 1 local')
    expect((await weft('SELECT 1', '--admin', 'http://127.0.0.1:1')).code).toBe(1)
    expect((await runWeft(['explain', join(dir, 'none.sql')]).finished).stderr).toContain('cannot be read')
  })

  it('knows at once what another session has declared', async () => {
    await query(url(), "CREATE TABLE late (id int PRIMARY KEY) WITH (shard_key = 'id')")
    expect((await weft('SELECT * FROM late')).out).toContain('1 all shards')
    await query(url(), 'DROP TABLE late')
    expect((await weft('SELECT * FROM late')).out).toContain('42P01')
  })
})
