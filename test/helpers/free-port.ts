import { once } from 'node:events'
import { createServer, type Server } from 'node:net'

/** Below the ports that a system gives to who asks for any, so that nobody comes by one of these by chance. */
const FIRST = 12_000
const LAST = 31_999

/** Tells the tests' other processes that a port is taken, also while nothing listens on it. */
const LEASES = '127.0.0.2'

/** A loopback port on which nothing listens, and that no other test gets as long as this process runs. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST + 1))
    const lease = await listen(port, LEASES)
    if (lease === undefined) continue
    lease.unref()
    const probe = await listen(port, '127.0.0.1')
    if (probe === undefined) continue
    probe.close()
    await once(probe, 'close')
    return port
  }
}

async function listen(port: number, host: string): Promise<Server | undefined> {
  const server = createServer().listen(port, host)
  try {
    await once(server, 'listening')
    return server
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    return undefined
  }
}
