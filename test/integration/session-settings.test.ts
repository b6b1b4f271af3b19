import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { SessionSettings } from '../../coordinator/settings/settings.ts'
import { SettingsInterner } from '../../coordinator/settings/settings-sql.ts'
import { startupSettings } from '../../coordinator/settings/startup-settings.ts'
import { hasPostgres15, startPostgres, type TestPostgres } from '../helpers/postgres.ts'

const VALUES: Readonly<Record<string, readonly string[]>> = {
  work_mem: ['1MB', '2MB', '3MB'],
  search_path: ['a, b', '"$user", "Odd ""name"', ''],
  application_name: ["it's", 'back\\slash', ''],
  timezone: ['UTC', 'Asia/Tokyo'],
  role: ['bob', 'Eve "x"', 'none'],
  session_authorization: ['bob', 'dan'],
  'myapp.tenant': ['1', '2'],
}
const NAMES = Object.keys(VALUES)
const STARTUP = { application_name: 'psql', options: '-c work_mem=9MB --myapp.tenant=0' }
const RESET = 'RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL'

/** A small seeded generator: a failing sequence can be run again. */
function random(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

const quoted = (text: string) => `E'${text.replaceAll("'", "''").replaceAll('\\', '\\\\')}'`
const setSql = (name: string, value: string, local: boolean) =>
  `SELECT set_config('${name}', ${quoted(value)}, ${local})`

/** One random step: what a client says, and the same told to the model. `points`: the savepoints that exist. */
function step(next: (below: number) => number, model: SessionSettings, points: string[]): string {
  const name = NAMES[next(NAMES.length)]!
  const value = VALUES[name]![next(VALUES[name]!.length)]!
  const doing = next(10)
  if (doing === 0) {
    model.reset(name)
    return name === 'session_authorization' ? 'RESET SESSION AUTHORIZATION' : `RESET ${name}`
  }
  if (doing === 1 && next(3) === 0) {
    model.resetAll()
    return 'RESET ALL'
  }
  if (doing >= 5 && model.inTransaction) return stepInside(next, model, points, { name, value })
  if (doing >= 7) {
    model.begin()
    return 'BEGIN'
  }
  model.set(name, value)
  return setSql(name, value, false)
}

function stepInside(
  next: (below: number) => number,
  model: SessionSettings,
  points: string[],
  { name, value }: { name: string; value: string },
): string {
  const doing = next(8)
  const point = points[next(points.length)]
  if (doing < 3) {
    model.setLocal(name, value)
    return setSql(name, value, true)
  }
  if (doing === 3 || (point === undefined && doing < 7)) {
    const made = `p${next(3)}`
    points.push(made)
    model.savepoint(made)
    return `SAVEPOINT ${made}`
  }
  if (point !== undefined && doing < 7) {
    const at = points.lastIndexOf(point)
    points.length = doing === 4 ? at : at + 1
    if (doing === 4) model.release(point)
    else model.rollbackTo(point)
    return doing === 4 ? `RELEASE ${point}` : `ROLLBACK TO ${point}`
  }
  points.length = 0
  const commits = next(2) === 0
  if (commits) model.commit()
  else model.rollback()
  return commits ? 'COMMIT' : 'ROLLBACK'
}

const SHOW = `SELECT current_user, session_user, ${NAMES.map((n) => `coalesce(current_setting('${n}', true), '') AS "${n}"`)}`

describe.each([18, ...(hasPostgres15 ? [15 as const] : [])] as const)(
  'session settings on Postgres %i',
  (version) => {
    let server: TestPostgres
    beforeAll(async () => {
      server = await startPostgres({ version })
      const client = new pg.Client({ connectionString: server.url })
      await client.connect()
      await client.query(
        'CREATE ROLE bob SUPERUSER; CREATE ROLE dan SUPERUSER; CREATE ROLE "Eve ""x""" SUPERUSER',
      )
      await client.end()
    }, 60_000)
    afterAll(() => server?.stop())

    test('settings: random SET, RESET, savepoints and ends: a restored backend shows what Postgres shows', async () => {
      const restored = new pg.Client({ connectionString: server.url })
      await restored.connect()
      for (let seed = 1; seed <= 40; seed++) {
        const client = new pg.Client({ connectionString: server.url, ...STARTUP })
        await client.connect()
        await compare(seed, client, restored)
        await client.end()
      }
      await restored.end()
    }, 120_000)
  },
)

async function compare(seed: number, client: pg.Client, restored: pg.Client): Promise<void> {
  const next = random(seed)
  const packet = new Map([
    ['options', STARTUP.options],
    ['application_name', STARTUP.application_name],
  ])
  const startup = startupSettings(packet)
  const model = new SessionSettings({ interner: new SettingsInterner(), user: 'postgres', startup })
  const said: string[] = []
  const points: string[] = []
  for (let i = 0; i < 25; i++) {
    const sql = step(next, model, points)
    said.push(sql)
    await client.query(sql)
    await restored.query(`${RESET}; ${model.effective().sql}`)
    const want = await client.query(SHOW)
    const got = await restored.query(SHOW)
    expect(got.rows[0], `seed ${seed}:\n${said.join('\n')}`).toEqual(want.rows[0])
    expect(model.effectiveRole).toBe(want.rows[0].current_user)
  }
}
