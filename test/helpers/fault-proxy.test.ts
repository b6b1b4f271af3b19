import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts'

let server: Server
let proxy: FaultProxy
let client: Socket
let peer: Socket
const texts = new Map<Socket, string>()

beforeEach(async () => {
  server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  proxy = await startFaultProxy(() => (server.address() as AddressInfo).port)
  const accepted = once(server, 'connection')
  client = connect(proxy.port, '127.0.0.1')
  peer = ((await accepted) as [Socket])[0]
  for (const socket of [client, peer]) {
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => texts.set(socket, `${texts.get(socket) ?? ''}${chunk}`))
  }
})
afterEach(async () => {
  for (const socket of [client, peer]) socket.destroy()
  await proxy.stop()
  server.close()
  texts.clear()
})

test('fault proxy: nothing broken: bytes and ends go through', async () => {
  client.write('ping')
  await expect.poll(() => texts.get(peer)).toBe('ping')
  peer.write('pong')
  await expect.poll(() => texts.get(client)).toBe('pong')
  const ended = once(peer, 'end')
  client.end()
  await ended
})

test('fault proxy: one direction blocked: the other goes on, healing delivers what was held', async () => {
  proxy.block('to-server')
  client.write('held')
  peer.write('through')
  await expect.poll(() => texts.get(client)).toBe('through')
  expect(texts.get(peer)).toBe(undefined)
  proxy.heal()
  await expect.poll(() => texts.get(peer)).toBe('held')
})

test('fault proxy: blocked: the end of a connection is not told before it heals', async () => {
  proxy.block('to-server')
  let isEnded = false
  peer.on('close', () => {
    isEnded = true
  })
  const gone = once(client, 'close')
  client.destroy()
  await gone
  peer.write('into the void')
  expect(isEnded).toBe(false)
  proxy.heal()
  await expect.poll(() => isEnded).toBe(true)
})

test('fault proxy: cut: both ends are reset', async () => {
  proxy.cut()
  await expect.poll(() => [client.destroyed, peer.destroyed]).toEqual([true, true])
})
