import { createServer } from 'node:net'
import { SetupError } from '../errors/setup-error.ts'

/** Fails at once when a port cannot be listened on, before anything slow has been started. */
export async function assertPortFree(host: string, port: number, use: string, flag: string): Promise<void> {
  const probe = createServer()
  try {
    await new Promise<void>((done, fail) => probe.once('error', fail).listen(port, host, done))
  } catch (cause) {
    throw portError(cause, host, port, use, flag)
  }
  await new Promise<void>((done) => probe.close(() => done()))
}

/** What a failed `listen` means to the operator; other errors as they are. */
export function portError(cause: unknown, host: string, port: number, use: string, flag: string): unknown {
  const code = (cause as NodeJS.ErrnoException).code
  const hint = `choose another with ${flag}.`
  if (code === 'EADDRINUSE') {
    return new SetupError(`port ${port} (${use}) is already in use`, `Stop what uses it, or ${hint}`, {
      cause,
    })
  }
  if (code === 'EACCES' || code === 'EADDRNOTAVAIL') {
    const why = code === 'EACCES' ? 'this user may not' : 'this machine has no such address'
    return new SetupError(`cannot listen on ${host}:${port} (${use}): ${why}`, `C${hint.slice(1)}`, { cause })
  }
  return cause
}
