import { reportError } from './report.ts'

interface Service {
  stop(): Promise<void>
}

/** npm passes on the Ctrl-C that the terminal sent to the whole group: one keystroke comes twice. */
const sameKeystrokeMs = 800
const stopTimeoutMs = 30_000

/**
 * Starts a service, runs it until SIGINT, SIGTERM or SIGHUP, stops it cleanly and ends the process; a second signal
 * ends it at once. A signal during the start is obeyed as soon as what was begun can be undone.
 */
export async function serve<S extends Service>(
  start: (signal: AbortSignal) => Promise<S>,
  announce: (service: S) => void,
): Promise<void> {
  const stopAsked = untilSignal()
  let service: S
  try {
    service = await start(stopAsked.abort.signal)
  } catch (error) {
    // The terminal's Ctrl-C also reached the children: their failure is no news.
    if (!stopAsked.asked) reportError(error)
    process.exit(stopAsked.asked ? 0 : 1)
  }
  if (!stopAsked.asked) announce(service)
  await stopAsked.signal
  setTimeout(() => {
    console.error(`weft: not stopped within ${stopTimeoutMs} ms, giving up`)
    process.exit(1)
  }, stopTimeoutMs).unref()
  try {
    await service.stop()
  } catch (error) {
    reportError(error)
    process.exit(1)
  }
  process.exit(0)
}

interface StopAsked {
  asked: boolean
  readonly signal: Promise<void>
  readonly abort: AbortController
}

function untilSignal(): StopAsked {
  let firstAt = 0
  let resolve: () => void = () => undefined
  const state = {
    asked: false,
    abort: new AbortController(),
    signal: new Promise<void>((done) => {
      resolve = done
    }),
  }
  const onSignal = (): void => {
    if (state.asked && performance.now() - firstAt > sameKeystrokeMs) process.exit(1)
    if (state.asked) return
    state.asked = true
    firstAt = performance.now()
    state.abort.abort()
    resolve()
  }
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, onSignal)
  return state
}
