import { createServer, type Server, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { Declined, Session } from './session.ts'

/** Answers as a Postgres does, to simple queries; `reply` says how to each text, and undefined is never. */
async function server(reply: (sql: string) => Buffer | undefined | 'hang up'): Promise<string> {
  const listener = createServer((socket) => serve(socket, reply))
  servers.push(listener)
  await new Promise<void>((done) => listener.listen(0, '127.0.0.1', done))
  return `postgres://me@127.0.0.1:${(listener.address() as { port: number }).port}/db?sslmode=disable`
}

const servers: Server[] = []
afterEach(() => {
  for (const each of servers.splice(0)) each.close()
})

function serve(socket: Socket, reply: (sql: string) => Buffer | undefined | 'hang up'): void {
  socket.on('error', () => undefined)
  socket.once('data', () => {
    socket.write(Buffer.concat([message('R', Buffer.from([0, 0, 0, 0])), ready]))
    socket.on('data', (chunk) => {
      if (chunk[0] !== 0x51) return
      const answer = reply(chunk.toString('utf8', 5, chunk.length - 1))
      if (answer === 'hang up') socket.destroy()
      else if (answer !== undefined) socket.write(Buffer.concat([answer, ready]))
    })
  })
}

function message(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5)
  head.write(type)
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}

const ready = message('Z', Buffer.from('I'))
const done = (tag: string): Buffer => message('C', Buffer.from(`${tag}\0`))
const failed = (code: string, severity = 'ERROR'): Buffer =>
  message('E', Buffer.from(`S${severity}\0V${severity}\0C${code}\0Mit failed\0\0`))

async function outcome(
  reply: (sql: string) => Buffer | undefined | 'hang up',
  work: (session: Session) => Promise<unknown>,
): Promise<string> {
  const session = new Session({ node: 'n', url: await server(reply), settings: [], timeoutMs: 300 })
  try {
    await session.during(() => work(session))
    return 'ok'
  } catch (error) {
    return session.outcomeOf(error)
  } finally {
    session.close()
  }
}

const transaction = (session: Session): Promise<unknown> =>
  session.transaction('BEGIN', () => session.read('INSERT'))
const at = (statement: string, answer: Buffer | undefined | 'hang up') => (sql: string) =>
  sql === statement ? answer : done(sql)

describe('session: what an operation that failed has become', () => {
  test('an error before COMMIT was sent: certainly not done', async () => {
    expect(await outcome(at('INSERT', failed('40001')), transaction)).toBe('fail')
    expect(await outcome(at('INSERT', 'hang up'), transaction)).toBe('fail')
    expect(await outcome(at('INSERT', undefined), transaction)).toBe('fail')
  })

  test('an error of COMMIT: not done, but for one that says it may be', async () => {
    expect(await outcome(at('COMMIT', failed('40001')), transaction)).toBe('fail')
    expect(await outcome(at('COMMIT', failed('08006')), transaction)).toBe('fail')
    expect(await outcome(at('COMMIT', failed('08007')), transaction)).toBe('info')
    expect(await outcome(at('COMMIT', failed('57P01', 'FATAL')), transaction)).toBe('info')
  })

  test('a connection lost, or too late, at COMMIT: possibly done', async () => {
    expect(await outcome(at('COMMIT', 'hang up'), transaction)).toBe('info')
    expect(await outcome(at('COMMIT', undefined), transaction)).toBe('info')
  })

  test('COMMIT answered with ROLLBACK: not done', async () => {
    expect(await outcome(at('COMMIT', done('ROLLBACK')), transaction)).toBe('fail')
  })

  test('a statement by itself: possibly done when it writes', async () => {
    expect(await outcome(at('INSERT', 'hang up'), (session) => session.write('INSERT'))).toBe('info')
    expect(await outcome(at('INSERT', failed('23505')), (session) => session.write('INSERT'))).toBe('fail')
    expect(await outcome(at('SELECT', 'hang up'), (session) => session.read('SELECT'))).toBe('fail')
  })

  test('the second of two writes fails: the first was done', async () => {
    const both = async (session: Session): Promise<void> => {
      await session.write('INSERT 1')
      await session.write('INSERT 2')
    }
    expect(await outcome(at('INSERT 2', failed('40001')), both)).toBe('info')
  })

  test('nobody listens: certainly not done; declined: neither', async () => {
    const session = new Session({
      node: 'n',
      url: 'postgres://me@127.0.0.1:1/db',
      settings: [],
      timeoutMs: 300,
    })
    const error = await session.during(() => session.write('INSERT')).catch((reason: unknown) => reason)
    expect(session.outcomeOf(error)).toBe('fail')
    expect(session.outcomeOf(new Declined('no'))).toBe('fail')
  })
})
