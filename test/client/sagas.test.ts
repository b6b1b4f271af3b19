/** Sagas, on a plain Postgres and through Weft. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { build } from 'esbuild'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Db, Saga, SagaBusy, type SagaStep, sql, weft } from '../../client/index.ts'
import { servers, useServers } from './servers.ts'

const cluster = useServers()

interface Order {
  readonly stock: number
  readonly account: number
}

describe.each(servers)('on %s', (server) => {
  let db: Db
  const calls: string[] = []
  beforeAll(async () => {
    db = weft(cluster.url(server))
    const saga = `CREATE TABLE sagas (id text PRIMARY KEY, name text NOT NULL, input jsonb, state text NOT NULL,
      step int NOT NULL, turn int NOT NULL, leased_until timestamptz NOT NULL)`
    await cluster.create(server, saga, 'id')
    await cluster.create(
      server,
      'CREATE TABLE amounts (id int PRIMARY KEY, n int NOT NULL CHECK (n >= 0))',
      'id',
    )
  })
  beforeEach(async () => {
    calls.length = 0
    await db.query(sql`DELETE FROM sagas`)
    await db.query(sql`DELETE FROM amounts`)
    await db.query(
      sql`INSERT INTO amounts VALUES ${sql.rows([
        [1, 10],
        [2, 10],
      ])}`,
    )
  })
  afterAll(() => db.close())

  const take = (column: keyof Order): SagaStep<Order> => ({
    name: column,
    run: (tx, input) => tx.query(sql`UPDATE amounts SET n = n - 6 WHERE id = ${input[column]}`),
    undo: (tx, input) => tx.query(sql`UPDATE amounts SET n = n + 6 WHERE id = ${input[column]}`),
  })
  const mail: SagaStep<Order> = {
    name: 'mail',
    call: async (_, key) => void calls.push(`send ${key}`),
    uncall: async (_, key) => void calls.push(`unsend ${key}`),
  }
  const steps = [take('stock'), mail, take('account')]
  const amounts = async (): Promise<number[]> =>
    (await db.many(sql<{ n: number }>`SELECT n FROM amounts ORDER BY id`)).map(({ n }) => n)
  const input = { stock: 1, account: 2 }

  test('all steps are done, once, however often it is run', async () => {
    const saga = new Saga<Order>(db, 'order', steps)
    expect(await saga.run('a', input)).toBe('done')
    expect(await saga.run('a', input)).toBe('done')
    expect([await amounts(), calls]).toEqual([[4, 4], ['send a/mail']])
    expect((await saga.resume()).size).toBe(0)
  })

  test('a step that fails: those before are undone, last first', async () => {
    const saga = new Saga<Order>(db, 'order', steps)
    expect(await saga.run('a', input)).toBe('done')
    expect(await saga.run('b', { stock: 1, account: 99 })).toBe('undone')
    expect(await saga.run('b', input)).toBe('undone')
    expect(await amounts()).toEqual([4, 4])
    await db.query(sql`UPDATE amounts SET n = 10 WHERE id = 1`)
    calls.length = 0
    expect(await saga.run('c', input)).toBe('undone')
    expect([await amounts(), calls]).toEqual([
      [10, 4],
      ['send c/mail', 'unsend c/mail'],
    ])
  })

  test('a worker that dies between two steps: another goes on when its lease is over', async () => {
    const dies = new Error('the process ends')
    const dying: SagaStep<Order> = {
      name: 'mail',
      call: () => Promise.reject(dies),
      uncall: () => Promise.reject(dies),
    }
    const first = new Saga<Order>(db, 'order', [take('stock'), dying, take('account')])
    await expect(first.run('a', input)).rejects.toBe(dies)
    const other = new Saga<Order>(db, 'order', steps)
    await expect(other.run('a', input)).rejects.toThrow(SagaBusy)
    expect(await other.resume()).toEqual(new Map())
    await db.query(sql`UPDATE sagas SET leased_until = now()`)
    expect(await other.resume()).toEqual(new Map([['a', 'done']]))
    expect([await amounts(), calls]).toEqual([[4, 4], ['send a/mail']])
  })

  test('a COMMIT whose connection is lost: its step is not done twice', async () => {
    const { url, proxy } = await cluster.proxied(server)
    const far = weft(url)
    let tries = 0
    let committed: Promise<void> | undefined
    const cut: SagaStep<Order> = {
      name: 'cut',
      run: async (tx, { stock }) => {
        tries += 1
        await tx.query(sql`UPDATE amounts SET n = n - 6 WHERE id = ${stock}`)
        // The COMMIT gets through, its answer does not.
        proxy.block('to-client')
        committed = expect
          .poll(amounts)
          .toEqual([4, 10])
          .then(() => {
            proxy.cut()
            proxy.heal()
          })
      },
    }
    expect(await new Saga<Order>(far, 'order', [cut, take('account')]).run('a', input)).toBe('done')
    expect([tries, await amounts()]).toEqual([1, [4, 4]])
    await committed
    await far.close()
  })

  test('two workers of one saga: one does it', async () => {
    const saga = new Saga<Order>(db, 'order', steps)
    const both = await Promise.allSettled([saga.run('a', input), saga.run('a', input)])
    const told = both.map((one) => (one.status === 'fulfilled' ? one.value : one.reason))
    expect(told).toContain('done')
    for (const one of told) expect(one === 'done' || one instanceof SagaBusy).toBe(true)
    expect(await amounts()).toEqual([4, 4])
  })

  test('an outbox: its process is killed while it sends; another sends it, and what it wrote is there once', async () => {
    const child = await startKilled(cluster.url(server))
    const sending = (await once(child.stdout, 'data')) as [Buffer]
    expect(String(sending[0])).toBe('send a/mail\n')
    child.kill('SIGKILL')
    await once(child, 'close')
    expect(await amounts()).toEqual([4, 10])
    const outbox = new Saga<Order>(db, 'outbox', [take('stock'), { ...mail, onError: 'retry' }])
    await expect.poll(() => outbox.resume()).toEqual(new Map([['a', 'done']]))
    expect([await amounts(), calls]).toEqual([[4, 10], ['send a/mail']])
  })

  test('a step that is to be tried again: nothing is undone, and it stops no other saga', async () => {
    const away = new Error('the service is away')
    let isAway = true
    const send: SagaStep<Order> = {
      ...mail,
      call: (order, key) => (isAway && key === 'a/mail' ? Promise.reject(away) : mail.call!(order, key)),
      onError: 'retry',
    }
    const saga = new Saga<Order>(db, 'order', [take('stock'), send], { leaseMs: 1 })
    await expect(saga.run('a', input)).rejects.toBe(away)
    await db.query(sql`UPDATE amounts SET n = 16 WHERE id = 1`)
    const none = new Saga<Order>(
      db,
      'order',
      [take('stock'), { ...mail, call: () => Promise.reject(away), onError: 'retry' }],
      { leaseMs: 1 },
    )
    await expect(none.run('b', input)).rejects.toBe(away)
    const tried = () => saga.resume().catch(({ errors }: AggregateError) => [...errors, ...calls])
    await expect.poll(tried).toEqual([away, 'send b/mail'])
    isAway = false
    await expect.poll(() => saga.resume()).toEqual(new Map([['a', 'done']]))
    expect([await amounts(), calls]).toEqual([
      [10, 10],
      ['send b/mail', 'send a/mail'],
    ])
  })

  test('two steps of one name are refused', () => {
    expect(() => new Saga(db, 'order', [mail, mail] as never)).toThrow(TypeError)
  })
})

/** A process that has written, and says what it sends, but never comes to its end. */
async function startKilled(url: string) {
  const source = `import { Saga, sql, weft } from './client/index.ts'
    const call = (_, key) => new Promise(() => setInterval(() => undefined, 1000) && console.log('send', key))
    const run = (tx, { stock }) => tx.query(sql\`UPDATE amounts SET n = n - 6 WHERE id = \${stock}\`)
    const steps = [{ name: 'stock', run }, { name: 'mail', call, onError: 'retry' }]
    await new Saga(weft(process.argv[1]), 'outbox', steps, { leaseMs: 300 }).run('a', { stock: 1 })`
  const { outputFiles } = await build({
    stdin: { contents: source, resolveDir: process.cwd(), loader: 'js' },
    ...({ bundle: true, write: false, platform: 'node', format: 'esm', packages: 'external' } as const),
  })
  return spawn(process.execPath, ['--input-type=module', '-e', outputFiles[0]!.text, url], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}
