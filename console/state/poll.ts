import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import { told } from './session.ts'

export interface Polled<T> {
  readonly data: T | undefined
  /** Of the last try, in one line; `data` is what was before it. */
  readonly error: string | undefined
  readonly refresh: () => void
}

/** Asks now, and again so long after each answer; not while nobody looks. */
export function usePoll<T>(ask: (signal: AbortSignal) => Promise<T>, everyMs: number): Polled<T> {
  const [state, setState] = useState<{ data?: T; error?: string }>({})
  const latest = useRef(ask)
  latest.current = ask
  const again = useRef<() => void>(() => undefined)
  useEffect(() => {
    const stop = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    const run = async (): Promise<void> => {
      clearTimeout(timer)
      if (!document.hidden) {
        try {
          const data = await latest.current(stop.signal)
          if (!stop.signal.aborted) setState({ data })
        } catch (error) {
          if (!stop.signal.aborted)
            setState(({ data }) => ({ ...(data === undefined ? {} : { data }), error: told(error) }))
        }
      }
      if (!stop.signal.aborted) timer = setTimeout(() => void run(), everyMs)
    }
    again.current = () => void run()
    const look = (): void => {
      if (!document.hidden) void run()
    }
    document.addEventListener('visibilitychange', look)
    document.addEventListener('weft-refresh', again.current)
    void run()
    const { current: refresh } = again
    return () => {
      stop.abort()
      clearTimeout(timer)
      document.removeEventListener('visibilitychange', look)
      document.removeEventListener('weft-refresh', refresh)
    }
  }, [everyMs])
  return { data: state.data, error: state.error, refresh: useCallback(() => again.current(), []) }
}
