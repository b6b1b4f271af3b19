import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { weftError } from '../../errors/catalog.ts'
import { PgError } from '../../errors/pg-error.ts'
import type {
  AgentLink,
  AgentSession,
  BackendIdentity,
  ControlReply,
  ControlRequest,
  ExecRequest,
  LinkEvents,
  PrepareOptions,
  PrepareReply,
  ReplySink,
} from '../../protocol/agent-link.ts'
import { FrameWriter } from '../../protocol/mux/frame-writer.ts'
import { writeHello } from '../../protocol/mux/link-frames.ts'
import { query } from '../../protocol/wire/frontend-messages.ts'
import { clientOf, settingsOf, TestSession } from '../helpers/agent-client.ts'
import { isUp, LinkRecorder, MuxWorld, testClock } from '../helpers/mux.ts'

const READY = Buffer.from('Z\0\0\0\x05I')

/** An agent that notes what it is told; `echo` answers an exec with its own payload. */
class FakeSession implements AgentSession {
  readonly calls: string[] = []
  readonly requests: ExecRequest[] = []
  readonly sink: ReplySink
  readonly identity: BackendIdentity
  holdsBackend = false
  copyRoom = true
  copied = 0
  /** Called instead of the default for the calls that answer. */
  answer: (call: string) => Promise<void> = () => Promise.resolve()

  constructor(identity: BackendIdentity, sink: ReplySink) {
    this.identity = identity
    this.sink = sink
  }
  get running(): ExecRequest {
    return this.requests.at(-1)!
  }
  exec(request: ExecRequest): void {
    this.calls.push('exec')
    this.requests.push(request)
    if (request.payload.includes('echo')) this.sink.data(Buffer.concat([request.payload, READY]), 0x49)
  }
  copyData(bytes: Buffer): boolean {
    this.copied += bytes.length
    return this.copyRoom
  }
  cancel(): void {
    this.calls.push('cancel')
  }
  pause(): void {
    this.calls.push('pause')
  }
  resume(): void {
    this.calls.push('resume')
  }
  async prepare(gid: string, options: PrepareOptions = {}): Promise<PrepareReply> {
    const how = `${options.probe ? ' with the probe' : ''}${options.follows ? ' following' : ''}`
    await this.call(`prepare ${gid}${options.last ? ' last' : how}`)
    return options.last === true ? { prepareTs: 77n, xid: '4294967297' } : { prepareTs: 77n }
  }
  commitLast(gid: string, ts: bigint, sql: string): Promise<void> {
    return this.call(`commit last ${gid} ${ts} ${sql}`)
  }
  timestampFixed(gid: string, ts: bigint): void {
    this.calls.push(`fixed ${gid} ${ts}`)
  }
  commitPrepared(gid: string, ts: bigint): Promise<void> {
    return this.call(`commit ${gid} ${ts}`)
  }
  rollbackPrepared(gid: string): Promise<void> {
    return this.call(`rollback ${gid}`)
  }
  rollBack(): Promise<void> {
    return this.call('rollBack')
  }

  reset(): Promise<void> {
    return this.call('reset')
  }
  giveBack(): void {
    this.calls.push('giveBack')
  }
  close(): void {
    this.calls.push('close')
  }
  private call(what: string): Promise<void> {
    this.calls.push(what)
    return this.answer(what)
  }
}

class FakeLink implements AgentLink {
  readonly shard = 0
  appliedTs = 0n
  readonly isUp = true
  readonly coordinatorId: string
  readonly sessions = new Map<number, FakeSession>()
  readonly controls: ControlRequest[] = []
  events: LinkEvents | undefined
  closed = 0
  constructor(coordinatorId: string) {
    this.coordinatorId = coordinatorId
  }
  open(id: number, identity: BackendIdentity, sink: ReplySink): FakeSession {
    const session = new FakeSession(identity, sink)
    this.sessions.set(id, session)
    return session
  }
  get only(): FakeSession {
    return [...this.sessions.values()].at(-1)!
  }
  control(request: ControlRequest): Promise<ControlReply> {
    this.controls.push(request)
    if (request.kind === 'unfence') return Promise.reject(new PgError({ code: '55P03', message: 'no' }))
    return Promise.resolve({ kind: 'ok' })
  }
  subscribe(events: LinkEvents): void {
    this.events = events
    events.mapVersion(0, 12)
    events.quota(0, 7)
    events.up(0)
  }
  close(): Promise<void> {
    this.closed++
    return Promise.resolve()
  }
}

const worlds: MuxWorld[] = []
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.stop()
})

interface Fakes {
  readonly world: MuxWorld
  readonly links: FakeLink[]
}

async function start(options: Parameters<MuxWorld['link']>[0] = {}): Promise<Fakes> {
  const links: FakeLink[] = []
  const connectTo = (coordinatorId: string): AgentLink => {
    const link = new FakeLink(coordinatorId)
    links.push(link)
    return link
  }
  const { limits, clock } = options
  const more = { ...(limits === undefined ? {} : { limits }), ...(clock === undefined ? {} : { clock }) }
  const world = await MuxWorld.start({ connect: connectTo, ...more })
  worlds.push(world)
  return { world, links }
}

const request = { payload: query('run') }
const open = (link: AgentLink, id = 1): TestSession => new TestSession(link, id, clientOf('zoë'))

describe('a link', () => {
  test('exec: everything about it reaches the agent', async () => {
    const { world, links } = await start()
    const link = await world.linkUp()
    const keys = { clientKey: Buffer.alloc(32, 1), serverKey: Buffer.alloc(32, 2) }
    const s = new TestSession(link, 5, { kind: 'client', user: 'zoë', scram: keys })
    const settings = settingsOf("SET x = 'ü'")
    const needs = [{ name: 'w1', parse: Buffer.from('Pparse') }]
    for (let i = 0; i < 3; i++) {
      const sent: ExecRequest = {
        ...{ mapVersion: 41 + i, settings, needs, begin: ['BEGIN', 'SAVEPOINT a'], swallow: 3 },
        ...{ access: 'commit', pin: true, taints: true, payload: query(`echo ${i}`) },
      }
      const reply = await s.exec(sent)
      expect(reply.bytes).toEqual(Buffer.concat([sent.payload, READY]))
      const got = links[0]!.only.running
      expect({ ...got, settings: got.settings.sql }).toEqual({ ...sent, settings: settings.sql })
    }
    expect(links[0]!.only.identity).toEqual({ kind: 'client', user: 'zoë', scram: keys })
  })

  test('request objects used again by the caller: each exec is as it was when it was made', async () => {
    const { world, links } = await start()
    const link = await world.linkUp()
    const shared = { payload: query('echo 1'), begin: ['BEGIN'], mapVersion: 1 }
    const s = open(link)
    const first = s.exec(shared)
    shared.payload = query('echo 2')
    shared.begin.length = 0
    expect((await first).bytes.includes('echo 1')).toBe(true)
    expect(links[0]!.only.running.begin).toEqual(['BEGIN'])
  })

  test('holdsBackend: told with the end of an exec, before the sink hears of it', async () => {
    const { world, links } = await start()
    const s = open(await world.linkUp())
    for (const holds of [true, false]) {
      const done = s.exec(request)
      await expect.poll(() => links[0]?.only?.requests.length).toBe(holds ? 1 : 2)
      const seen: boolean[] = []
      s.onChunk = () => seen.push(s.session.holdsBackend)
      links[0]!.only.holdsBackend = holds
      links[0]!.only.sink.data(READY, 0x49)
      await done
      expect(seen).toEqual([holds])
    }
  })

  test('answers: of two-phase commit and reset, their errors too', async () => {
    const { world, links } = await start()
    const s = open(await world.linkUp())
    await s.exec({ payload: query('echo') })
    const agent = links[0]!.only
    agent.holdsBackend = true
    expect(await s.session.prepare('g1')).toEqual({ prepareTs: 77n })
    expect(s.session.holdsBackend).toBe(true)
    agent.holdsBackend = false
    await s.session.commitPrepared('g1', 1n << 62n)
    expect(s.session.holdsBackend).toBe(false)
    await s.session.rollbackPrepared('g2')
    await s.session.rollBack()
    await s.session.reset()
    const refusal = new PgError({ code: '40001', message: 'no', detail: 'really', position: 3 })
    expect(await s.session.prepare('g4', { last: true })).toEqual({ prepareTs: 77n, xid: '4294967297' })
    s.session.timestampFixed('g5', 9n)
    await s.session.commitLast('g4', 8n, 'SELECT 1')
    agent.answer = () => Promise.reject(refusal)
    await expect(s.session.prepare('g3', { probe: true })).rejects.toMatchObject({ fields: refusal.fields })
    agent.answer = () => Promise.reject(new TypeError('bug'))
    await expect(s.session.commitPrepared('g3', 1n)).rejects.toMatchObject({ code: 'XX000' })
    s.session.close()
    await expect.poll(() => agent.calls.at(-1)).toBe('close')
    expect(agent.calls.slice(1, -1)).toEqual([
      'prepare g1',
      `commit g1 ${1n << 62n}`,
      'rollback g2',
      'rollBack',
      'reset',
      'prepare g4 last',
      'fixed g5 9',
      'commit last g4 8 SELECT 1',
      'prepare g3 with the probe',
      'commit g3 1',
    ])
  })

  test('cancel, pause and resume: in order, and only what says something', async () => {
    const { world, links } = await start()
    const s = open(await world.linkUp())
    s.session.cancel()
    s.session.pause()
    s.session.resume()
    s.session.pause()
    const done = s.exec(request)
    s.session.pause()
    s.session.cancel()
    s.session.resume()
    s.session.resume()
    await expect.poll(() => links[0]?.only?.calls).toEqual(['pause', 'exec', 'cancel', 'resume'])
    links[0]!.only.sink.failed(weftError('query_canceled', {}), false)
    expect((await done).error?.code).toBe('57014')
  })

  test('control: requests and replies; a fence names sessions as the coordinator does', async () => {
    const { world, links } = await start()
    const link = await world.linkUp()
    // So that the ids of both sides differ.
    const other = open(link, 900)
    const s = open(link, 1000)
    await other.exec({ payload: query('echo') })
    await s.exec({ payload: query('echo') })
    const fence = { kind: 'fence', token: 't', version: 3, sessions: [1000, 4], timeoutMs: 5 } as const
    expect(await link.control(fence)).toEqual({ kind: 'ok' })
    const [told] = links[0]!.controls
    const named = told?.kind === 'fence' ? told.sessions.map((id) => links[0]!.sessions.get(id)) : []
    expect(named).toEqual([links[0]!.only])
    const unfence = link.control({ kind: 'unfence', token: 't', committed: true })
    await expect(unfence).rejects.toMatchObject({ code: '55P03' })
  })

  test('events: passed on, and told again to who subscribes later', async () => {
    const { world, links } = await start()
    const link = world.link()
    const first = new LinkRecorder()
    link.subscribe(first)
    expect(first.events).toEqual(['down: not connected yet'])
    expect(link.isUp).toBe(false)
    await isUp(link)
    links[0]!.events!.down(0, 'its disk is full')
    await expect.poll(() => first.events.at(-1)).toBe('down: its disk is full')
    expect(link.isUp).toBe(false)
    links[0]!.events!.mapVersion(0, 13)
    links[0]!.events!.up(0)
    await expect.poll(() => first.events.at(-1)).toBe('up')
    expect(first.events.slice(1)).toEqual([
      'map 12',
      'quota 7',
      'up',
      'down: its disk is full',
      'map 13',
      'up',
    ])
    const late = new LinkRecorder()
    link.subscribe(late)
    expect(late.events).toEqual(['map 13', 'quota 7', 'up'])
  })

  test('copyData: a window at a time, credit comes back when the backend has room', async () => {
    const { world, links } = await start()
    const s = open(await world.linkUp())
    const done = s.exec(request)
    await expect.poll(() => links[0]?.only?.requests.length).toBe(1)
    const agent = links[0]!.only
    agent.copyRoom = false
    const chunk = Buffer.alloc(60_000, 120)
    let drained = 0
    s.onDrained = () => drained++
    let sent = chunk.length
    while (s.session.copyData(chunk)) sent += chunk.length
    expect(sent).toBe(300_000)
    await expect.poll(() => agent.copied).toBe(sent)
    expect(drained).toBe(0)
    agent.sink.drained()
    await expect.poll(() => drained).toBe(1)
    agent.copyRoom = true
    // The credit is back, and from now on it comes without waiting.
    for (let i = 0; i < 100; i++) {
      if (!s.session.copyData(chunk)) await new Promise<void>((resolve) => (s.onDrained = resolve))
    }
    await expect.poll(() => agent.copied).toBe(sent + 100 * chunk.length)
    agent.sink.data(READY, 0x49)
    await done
    expect(s.session.copyData(chunk)).toBe(true)
  })

  test('copyData: the exec ends while the sender waits: the sender is woken first', async () => {
    const { world, links } = await start()
    const s = open(await world.linkUp())
    const done = s.exec(request)
    await expect.poll(() => links[0]?.only?.requests.length).toBe(1)
    links[0]!.only.copyRoom = false
    expect(s.session.copyData(Buffer.alloc(300_000))).toBe(false)
    const order: string[] = []
    s.onDrained = () => order.push('drained')
    s.onChunk = () => order.push('end')
    links[0]!.only.sink.data(READY, 0x49)
    await done
    expect(order).toEqual(['drained', 'end'])
  })

  test('a closed session: late replies find nobody, its id can be used again', async () => {
    const { world, links } = await start()
    const link = await world.linkUp()
    const s = open(link)
    void s.exec(request)
    await expect.poll(() => links[0]?.only?.requests.length).toBe(1)
    expect(() => open(link)).toThrow(/opened twice/)
    s.session.close()
    links[0]!.only.sink.data(Buffer.from('late'), 0)
    const again = open(link)
    expect((await again.query('echo')).bytes.includes('late')).toBe(false)
  })

  test('a sink that throws: logged; the other sessions go on', async () => {
    const { world, links } = await start()
    const link = await world.linkUp()
    const bad = open(link, 1)
    void bad.exec(request)
    await expect.poll(() => links[0]?.only?.requests.length).toBe(1)
    bad.onChunk = () => {
      throw new Error('bug')
    }
    links[0]!.only.sink.data(Buffer.from('x'), 0)
    await expect.poll(() => world.log.lines).toContain('error: mux: reply not taken')
    expect((await open(link, 2).query('echo')).ready).toBe('I')
  })

  test('more sessions than allowed: refused where they are opened', async () => {
    const { world } = await start({ limits: { sessionsMax: 2 } })
    const link = await world.linkUp({ limits: { sessionsMax: 2 } })
    open(link, 1)
    const second = open(link, 2)
    expect(() => open(link, 3)).toThrow(expect.objectContaining({ code: '53300' }))
    second.session.close()
    expect((await open(link, 3).query('echo')).ready).toBe('I')
  })

  test('a statement larger than a frame may be: refused, the link stays', async () => {
    const limits = { frameBytesMax: 10_000 }
    const { world } = await start({ limits })
    const s = open(await world.linkUp({ limits }))
    const reply = await s.query('x'.repeat(10_000))
    expect([reply.error?.code, reply.sent]).toEqual(['54000', false])
    const needy = { needs: [{ name: 'n', parse: Buffer.alloc(20_000) }] }
    expect((await s.query('echo', needy)).error?.code).toBe('54000')
    expect((await s.query('echo')).ready).toBe('I')
  })
})

describe('a link that breaks', () => {
  test('before the frame has left: shard_unreachable, not sent; after: backend_lost, sent', async () => {
    const { world, links } = await start()
    const link = await world.linkUp()
    const s = open(link)
    await s.query('echo')
    const early = s.exec(request)
    link.current!.destroy('test')
    expect(await early).toMatchObject({ sent: false, error: { code: '08006' } })
    await isUp(link)
    const late = s.exec(request)
    await expect.poll(() => links[1]?.only?.requests.length).toBe(1)
    link.current!.destroy('test')
    expect(await late).toMatchObject({ sent: true, error: { code: '57P01' } })
    await expect.poll(() => links.map(({ closed }) => closed)).toEqual([1, 1])
  })

  test('while down: exec fails, not inside its own call; promises reject; open and close work', async () => {
    const { world } = await start()
    const link = world.link()
    const s = open(link)
    let inside = true
    const done = s.exec(request).then((reply) => {
      expect(inside).toBe(false)
      return reply
    })
    inside = false
    expect(await done).toMatchObject({ sent: false, error: { code: '08006' } })
    expect((await done).error?.message).toMatch(/shard 0 cannot be reached: not connected yet/)
    await expect(s.session.prepare('g')).rejects.toMatchObject({ code: '08006' })
    await expect(s.session.commitPrepared('g', 1n)).rejects.toMatchObject({ code: '08006' })
    await expect(s.session.rollbackPrepared('g')).rejects.toMatchObject({ code: '08006' })
    await expect(link.control({ kind: 'status' })).rejects.toMatchObject({ code: '08006' })
    await s.session.reset()
    s.session.cancel()
    s.session.close()
    await isUp(link)
    expect((await open(link).query('echo')).ready).toBe('I')
  })

  test('requests under way: rejected with 57P01; reset, which is done by it, resolves', async () => {
    const { world, links } = await start()
    const link = await world.linkUp()
    const [a, b, c, d] = [1, 2, 3, 4].map((id) => open(link, id)) as [
      TestSession,
      TestSession,
      TestSession,
      TestSession,
    ]
    for (const s of [a, b, c, d]) await s.query('echo')
    for (const agent of links[0]!.sessions.values()) {
      agent.answer = () => new Promise(() => {})
      agent.holdsBackend = true
    }
    const ends = [
      a.session.prepare('g'),
      b.session.commitPrepared('g', 1n),
      c.session.rollbackPrepared('g'),
      d.session.reset(),
    ]
    await expect.poll(() => links[0]!.only.calls.at(-1)).toBe('reset')
    world.proxy.cut()
    const settled = await Promise.allSettled(ends)
    expect(settled.map((end) => (end.status === 'rejected' ? (end.reason as PgError).code : 'ok'))).toEqual([
      '57P01',
      '57P01',
      '57P01',
      'ok',
    ])
    await isUp(link)
    // Their promises told them: the next exec is a new one.
    expect((await a.query('echo')).ready).toBe('I')
  })

  test('a transaction that was open: the next exec hears of it, once', async () => {
    const { world, links } = await start()
    const link = await world.linkUp()
    const s = open(link)
    const reset = open(link, 2)
    const done = [s.exec(request), reset.exec(request)]
    await expect.poll(() => links[0]?.only?.requests.length).toBe(1)
    for (const agent of links[0]!.sessions.values()) {
      agent.holdsBackend = true
      agent.sink.data(READY, 0x54)
    }
    await Promise.all(done)
    expect(s.session.holdsBackend).toBe(true)
    world.proxy.cut()
    await expect.poll(() => s.session.holdsBackend).toBe(false)
    await isUp(link)
    await reset.session.reset()
    expect((await reset.query('echo')).ready).toBe('I')
    expect(await s.query('echo')).toMatchObject({ sent: false, error: { code: '57P01' } })
    expect((await s.query('echo')).ready).toBe('I')
    expect((await s.query('echo')).ready).toBe('I')
  })

  test('the server stops and comes back: down with its reason, then up, the same sessions work', async () => {
    const { world, links } = await start()
    const link = await world.linkUp()
    const s = open(link)
    await s.query('echo', { settings: settingsOf('SET x = 1') })
    const recorder = new LinkRecorder()
    link.subscribe(recorder)
    const { port } = world.server
    await world.server.close()
    await expect.poll(() => recorder.events.find((e) => /^down.*shutting down/.test(e))).toBeDefined()
    expect(links[0]!.closed).toBe(1)
    expect((await s.query('echo')).error?.code).toBe('08006')
    await world.listen(port)
    await isUp(link)
    expect((await s.query('echo', { needs: [{ name: 'n', parse: Buffer.from('P') }] })).ready).toBe('I')
  })

  test('a partition without a word: both sides notice; pings keep an idle link alive', async () => {
    const limits = { pingIntervalMs: 40, deadAfterMs: 400 }
    const { world, links } = await start({ limits })
    const link = await world.linkUp({ limits })
    const recorder = new LinkRecorder()
    link.subscribe(recorder)
    const { up, down } = world.proxy.bytes
    // Several times as many pings as one side could be silent for.
    await expect.poll(() => world.proxy.bytes.up - up, { timeout: 20_000 }).toBeGreaterThan(17 * 20)
    await expect.poll(() => world.proxy.bytes.down - down, { timeout: 20_000 }).toBeGreaterThan(17 * 20)
    expect(recorder.events.at(-1)).toBe('up')
    world.proxy.partition()
    await expect
      .poll(() => recorder.events.at(-1), { timeout: 20_000 })
      .toMatch(/^down: (nothing was heard|no answer)/)
    await expect.poll(() => links[0]!.closed, { timeout: 20_000 }).toBe(1)
    world.proxy.heal()
    await isUp(link)
  })

  test('the same coordinator again: its old connection is given up at once', async () => {
    const { world, links } = await start()
    const first = await world.linkUp()
    const recorder = new LinkRecorder()
    first.subscribe(recorder)
    await world.linkUp({ coordinatorId: 'c2' })
    expect(recorder.events.at(-1)).toBe('up')
    const twin = await world.linkUp()
    await expect.poll(() => recorder.events.find((e) => /connected again/.test(e))).toBeDefined()
    expect(links.map(({ coordinatorId, closed }) => [coordinatorId, closed]).slice(0, 2)).toEqual([
      ['c1', 1],
      ['c2', 0],
    ])
    await twin.close()
  })

  test('close: the agent is told, nothing is tried again', async () => {
    const { world, links } = await start()
    const link = await world.linkUp()
    const s = open(link)
    const running = s.exec(request)
    await expect.poll(() => links[0]?.only?.requests.length).toBe(1)
    await link.close()
    expect((await running).error?.code).toBe('57P01')
    await expect.poll(() => links[0]!.closed).toBe(1)
    expect((await s.query('echo')).error?.code).toBe('08006')
    expect(links).toHaveLength(1)
  })
})

describe('peers that do not fit', () => {
  test.each([
    ['another cluster', { cluster: 'other' }, /cluster "other", this node to "test"/],
    ['another shard', { shard: 3 }, /about shard 3, this node about shard 0/],
  ])('%s: refused with the reason', async (_, options, reason) => {
    const { world, links } = await start()
    const recorder = new LinkRecorder()
    world.link(options).subscribe(recorder)
    await expect.poll(() => recorder.events.at(-1)).toMatch(reason)
    expect(links).toEqual([])
  })

  test.each([
    ['the coordinator', 0, 10_000],
    ['the agent', 10_000, 0],
  ])('a clock too far ahead, that of %s: refused with the reason', async (_, agentMs, coordinatorMs) => {
    const { world } = await start({ clock: testClock(agentMs) })
    const recorder = new LinkRecorder()
    const link = world.link({ clock: testClock(coordinatorMs) })
    link.subscribe(recorder)
    await expect.poll(() => recorder.events.at(-1)).toMatch(/ms ahead of this node's clock/)
    expect(world.log.lines.some((line) => /^warn.*ahead of this node's clock/.test(line))).toBe(true)
    expect(link.isUp).toBe(false)
  })

  test('timestamps: each side learns how far the other is', async () => {
    const beganMs = Date.now()
    const agentClock = testClock(300)
    const { world } = await start({ clock: agentClock })
    const clock = testClock()
    await world.linkUp({ clock })
    expect(clock.now() >> 16n).toBeGreaterThanOrEqual(BigInt(beganMs + 300))
  })

  const hello = (): Buffer => {
    const out = new FrameWriter()
    writeHello(out, { cluster: 'test', shard: 0, coordinatorId: 'rogue' })
    return Buffer.concat(out.take(testClock().now()))
  }
  const frame = (kind: number, session: number, body: Buffer): Buffer => {
    const head = Buffer.alloc(17)
    head.writeUInt32BE(13 + body.length)
    head.writeUInt32BE(session, 4)
    head[8] = kind
    return Buffer.concat([head, body])
  }
  const rogue = (port: number, bytes: Buffer): Promise<Socket> =>
    new Promise((resolve) => {
      const socket = connect({ host: '127.0.0.1', port }, () => socket.write(bytes))
      socket.on('error', () => {})
      socket.on('close', () => resolve(socket))
      socket.resume()
    })

  test.each([
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: weft\r\n\r\n')],
    ['zeros', Buffer.alloc(100)],
    ['a frame before hello', frame(21, 1, Buffer.alloc(20))],
    ['a hello of nobody', frame(1, 0, Buffer.from('nonsense'))],
    ['a hello that is endless', frame(1, 0, Buffer.alloc(5_000))],
  ])('garbage to a server, %s: closed with a logged reason, others go on', async (_, bytes) => {
    const { world, links } = await start()
    const link = await world.linkUp()
    await rogue(world.server.port, bytes)
    expect(world.log.lines.some((line) => /^warn: mux: connection refused: mux: /.test(line))).toBe(true)
    expect((await open(link).query('echo')).ready).toBe('I')
    expect(links).toHaveLength(1)
  })

  test.each([
    ['an unknown kind', frame(60, 0, Buffer.alloc(0))],
    ['a kind of the other side', frame(50, 1, Buffer.alloc(0))],
    ['an exec without a session', frame(21, 9, Buffer.alloc(20))],
    [
      'a session opened twice',
      Buffer.concat([frame(20, 1, Buffer.from([0])), frame(20, 1, Buffer.from([0]))]),
    ],
    ['an identity that is none', frame(20, 1, Buffer.from([9]))],
    [
      'an exec that is cut off',
      Buffer.concat([frame(20, 1, Buffer.from([0])), frame(21, 1, Buffer.alloc(5))]),
    ],
    ['control that is not JSON', frame(10, 0, Buffer.from('\0\0\0\x01{'))],
    ['a second hello', hello()],
    ['a frame that is too long', Buffer.from('\xff\xff\xff\xff\0\0\0\0\x15'.padEnd(17, '\0'), 'latin1')],
  ])('garbage after hello, %s: closed with a logged reason, the agent link closed', async (_, bytes) => {
    const { world, links } = await start()
    await rogue(world.server.port, Buffer.concat([hello(), bytes]))
    expect(links.map(({ closed }) => closed)).toEqual([1])
    expect(world.log.lines.at(-1)).toMatch(/^warn: mux: coordinator lost: mux: /)
  })

  test('random frames after hello: never a crash', async () => {
    const { world, links } = await start()
    let state = 7
    const random = (): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      return state >>> 8
    }
    for (let round = 0; round < 100; round++) {
      const frames = Array.from({ length: 30 }, () => {
        const kinds = [10, 11, 12, 13, 14, 20, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30]
        const body = Buffer.from(Array.from({ length: random() % 40 }, () => random() % 4))
        return frame(kinds[random() % kinds.length]!, random() % 3, body)
      })
      // An end that is surely refused, so that the connection closes.
      await rogue(world.server.port, Buffer.concat([hello(), ...frames, frame(60, 0, Buffer.alloc(0))]))
    }
    expect(links.every(({ closed }) => closed === 1)).toBe(true)
    expect((await open(await world.linkUp()).query('echo')).ready).toBe('I')
  })

  test('a peer that connects and says nothing: closed', async () => {
    const { world } = await start({ limits: { helloTimeoutMs: 50 } })
    await rogue(world.server.port, Buffer.alloc(0))
    expect(world.log.lines.at(-1)).toMatch(/no hello within 50 ms/)
  })

  test('an agent that talks nonsense, or nothing: down with the reason, tried again', async () => {
    const { world } = await start()
    let answer: Buffer | undefined = Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')
    let connections = 0
    const server = createServer((socket) => {
      connections++
      socket.on('error', () => {})
      if (answer !== undefined) socket.end(answer)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const recorder = new LinkRecorder()
    const link = world.link({ port, limits: { helloTimeoutMs: 100 } })
    link.subscribe(recorder)
    await expect.poll(() => recorder.events.at(-1)).toMatch(/^down: mux: unknown frame kind/)
    answer = undefined
    await expect.poll(() => recorder.events.at(-1), { timeout: 10_000 }).toMatch(/no answer within 100 ms/)
    expect(connections).toBeGreaterThan(1)
    await link.close()
    server.close()
  })
})
