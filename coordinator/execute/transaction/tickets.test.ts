import { expect, test } from 'vitest'
import { TxnTickets } from './tickets.ts'

const never = (): void => {}

test('tickets: as many as there are, then first come first served', async () => {
  const tickets = new TxnTickets(1)
  expect([tickets.tryAcquire(), tickets.tryAcquire()]).toEqual([true, false])
  const order: number[] = []
  const waits = [1, 2].map((n) => tickets.acquire(never).then(() => order.push(n)))
  expect(tickets.waitingCount).toBe(2)
  tickets.release()
  await waits[0]
  tickets.release()
  await waits[1]
  expect([order, tickets.inUse]).toEqual([[1, 2], 1])
})

test('tickets: given back early, the next one has its turn, but no more of them than there are tickets', async () => {
  const tickets = new TxnTickets(1)
  await tickets.acquire(never)
  const next = tickets.acquire(never)
  expect(tickets.releaseEarly()).toBe(true)
  await next
  expect(tickets.inUse).toBe(1)
  expect(tickets.releaseEarly()).toBe(false)
  expect(tickets.inUse).toBe(1)
  tickets.earlyEnded()
  expect(tickets.releaseEarly()).toBe(true)
  expect(tickets.inUse).toBe(0)
})

test('tickets: who gives up waiting leaves the line', async () => {
  const tickets = new TxnTickets(1)
  await tickets.acquire(never)
  let abandon: (error: Error) => void = never
  const gone = tickets.acquire((how) => {
    abandon = how
  })
  const next = tickets.acquire(never)
  abandon(new Error('cancelled'))
  await expect(gone).rejects.toThrow('cancelled')
  tickets.release()
  await next
  expect([tickets.inUse, tickets.waitingCount]).toEqual([1, 0])
})
