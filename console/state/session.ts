import { effect, signal } from '@preact/signals'
import type { Whoami } from '../../admin/api/schemas.ts'
import { Api, ApiError } from '../api/client.ts'

const TOKEN = 'weft.token'

const token = signal<string | undefined>(sessionStorage.getItem(TOKEN) ?? undefined)
effect(() => {
  if (token.value === undefined) sessionStorage.removeItem(TOKEN)
  else sessionStorage.setItem(TOKEN, token.value)
})

/** Who is here; undefined: to be found out, or nobody yet. */
export const whoami = signal<Whoami | undefined>(undefined)
/** Why nobody is logged in. */
export const loginError = signal<string | undefined>(undefined)
export const needsLogin = signal(false)
/** Since when the node has not answered. */
export const lostAt = signal<Date | undefined>(undefined)

function onStatus(status: number): void {
  if (status === 0) lostAt.value ??= new Date()
  else lostAt.value = undefined
  if (status !== 401) return
  // The token was taken back, or the node has another configuration now.
  needsLogin.value = true
  whoami.value = undefined
}

export const api = new Api(() => token.peek(), onStatus)

/** Finds out who is here: of the token that is there, or of none. */
export async function enter(): Promise<void> {
  try {
    whoami.value = await api.get('/api/whoami')
    needsLogin.value = false
    loginError.value = undefined
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    if (error.status === 0) {
      setTimeout(() => void enter(), AGAIN_MS)
      return
    }
    loginError.value = token.peek() === undefined && error.status === 401 ? undefined : told(error)
    needsLogin.value = true
    if (error.status === 401) token.value = undefined
  }
}

const AGAIN_MS = 2_000

export async function logIn(text: string): Promise<void> {
  token.value = text
  await enter()
}

export function logOut(): void {
  token.value = undefined
  whoami.value = undefined
  needsLogin.value = true
}

/** In one line. */
export function told(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const hint = error instanceof ApiError ? error.hint : ''
  return hint === '' ? error.message : `${error.message}. ${hint}`
}

export const isAdmin = (): boolean => whoami.value?.role === 'admin'
