import type { Failure } from '../../admin/api/schemas.ts'
import { filled, type Gets, type Posts } from './routes.ts'

/** What went wrong, in one line; `status` is 0 when nobody answered. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly status: number
  readonly hint: string

  constructor(status: number, message: string, hint = '') {
    super(message)
    this.status = status
    this.hint = hint
  }
}

export interface Asking {
  readonly values?: Readonly<Record<string, string | number>>
  readonly query?: Readonly<Record<string, string | number | undefined>>
  readonly signal?: AbortSignal
}

const ANSWER_MS_MAX = 30_000

/** The API of the node that this page is from. */
export class Api {
  private readonly token: () => string | undefined
  private readonly onStatus: (status: number) => void

  constructor(token: () => string | undefined, onStatus: (status: number) => void) {
    this.token = token
    this.onStatus = onStatus
  }

  get<P extends keyof Gets>(path: P, { values, query, signal }: Asking = {}): Promise<Gets[P]> {
    return this.ask<Gets[P]>(filled(path, values, query), {}, signal)
  }

  post<P extends keyof Posts>(path: P, body: object, { values }: Asking = {}): Promise<Posts[P]> {
    const headers = { 'content-type': 'application/json' }
    return this.ask<Posts[P]>(filled(path, values), { method: 'POST', body: JSON.stringify(body), headers })
  }

  private async ask<T>(path: string, init: RequestInit, signal?: AbortSignal): Promise<T> {
    const token = this.token()
    const headers = { ...init.headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) }
    const limit = AbortSignal.timeout(ANSWER_MS_MAX)
    let response: Response
    try {
      response = await fetch(path, {
        ...{ ...init, headers, cache: 'no-store' },
        signal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
      })
    } catch (cause) {
      if (signal?.aborted === true) throw cause
      this.onStatus(0)
      throw new ApiError(0, 'no answer from this node', 'It is asked again every few seconds.')
    }
    this.onStatus(response.status)
    const answer = (await response.json().catch(() => undefined)) as unknown
    if (response.ok && answer !== undefined) return answer as T
    const told = (answer as Partial<Failure> | undefined)?.error
    throw new ApiError(response.status, told?.message ?? `the node answered ${response.status}`, told?.hint)
  }
}
