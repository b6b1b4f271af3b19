import { afterEach, expect, test } from 'vitest'
import type { AgentLink } from '../../protocol/agent-link.ts'
import type { MuxTls } from '../../protocol/transport/limits.ts'
import { LinkRecorder, MuxWorld } from '../helpers/mux.ts'
import { strangerTls } from '../helpers/stranger-tls.ts'
import { testTls } from '../helpers/test-tls.ts'

/** The cluster's authority is the certificate itself. */
const member: MuxTls = { ca: testTls.cert, ...testTls }

let world: MuxWorld | undefined
let connected: string[] = []
afterEach(async () => {
  await world?.stop()
})

function agentLink(): AgentLink {
  return {
    shard: 0,
    isUp: true,
    appliedTs: 0n,
    open: () => {
      throw new Error('not here')
    },
    control: () => Promise.resolve({ kind: 'ok' }),
    subscribe: (events) => events.up(0),
    close: () => Promise.resolve(),
  }
}

async function start(tls: MuxTls | undefined, host = '127.0.0.1'): Promise<MuxWorld> {
  connected = []
  world = await MuxWorld.start({
    host,
    connect: (id) => {
      connected.push(id)
      return agentLink()
    },
    ...(tls === undefined ? {} : { tls }),
  })
  return world
}

test('TLS: both certificates signed by the authority: connected', async () => {
  const link = await (await start(member)).linkUp({ tls: member })
  expect(await link.control({ kind: 'status' })).toEqual({ kind: 'ok' })
  expect(connected).toEqual(['c1'])
})

test.each<[string, MuxTls | undefined, MuxTls | undefined, RegExp]>([
  [
    'the coordinator’s certificate is a stranger’s',
    member,
    { ...strangerTls, ca: testTls.cert },
    /before any greeting/,
  ],
  ['the agent’s certificate is a stranger’s', { ...strangerTls, ca: testTls.cert }, member, /self-signed/],
  ['the coordinator comes without TLS', member, undefined, /before any greeting/],
  ['the agent has no TLS', undefined, member, /^down: TLS: wrong version number/],
])('TLS: %s: refused with a reason, no link made', async (_, server, client, reason) => {
  const { log } = await start(server)
  const recorder = new LinkRecorder()
  world!.link(client === undefined ? {} : { tls: client }).subscribe(recorder)
  await expect.poll(() => recorder.events.at(-1), { timeout: 10_000 }).toMatch(reason)
  await expect
    .poll(() => log.lines.some((line) => /^warn: mux: (TLS|connection) refused/.test(line)))
    .toBe(true)
  expect(connected).toEqual([])
})

test('TLS: the agent’s certificate is for another host: refused', async () => {
  await start(member, '127.0.0.2')
  const recorder = new LinkRecorder()
  world!.link({ tls: member, host: '127.0.0.2', port: world!.server.port }).subscribe(recorder)
  await expect
    .poll(() => recorder.events.at(-1), { timeout: 10_000 })
    .toMatch(/127.0.0.2 is not in the cert's list/)
  expect(connected).toEqual([])
})
