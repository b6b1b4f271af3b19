/** What a server keeps of a password: `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, as in pg_authid. */
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'
import { saslprep } from './saslprep.ts'

/** SHA-256: the length of every key. */
export const KEY_BYTES = 32
export const DEFAULT_ITERATIONS = 4096
const SALT_BYTES = 16

export interface ScramVerifier {
  readonly iterations: number
  readonly salt: Buffer
  readonly storedKey: Buffer
  readonly serverKey: Buffer
}

/** Enough to log in to any server that stores the same verifier (RFC 5802: ClientKey, ServerKey). */
export interface ScramKeys {
  readonly clientKey: Buffer
  readonly serverKey: Buffer
}

export function hmac(key: Buffer, data: string | Buffer): Buffer {
  return createHmac('sha256', key).update(data).digest()
}

export function sha256(data: Buffer): Buffer {
  return createHash('sha256').update(data).digest()
}

export function xor(a: Buffer, b: Buffer): Buffer {
  const out = Buffer.allocUnsafe(a.length)
  for (let i = 0; i < a.length; i++) out[i] = a[i]! ^ b[i]!
  return out
}

/** Takes milliseconds on purpose (PBKDF2). */
export function deriveKeys(password: string, salt: Buffer, iterations: number): ScramKeys {
  const salted = pbkdf2Sync(saslprep(password), salt, iterations, KEY_BYTES, 'sha256')
  return { clientKey: hmac(salted, 'Client Key'), serverKey: hmac(salted, 'Server Key') }
}

/** The text to store for a password; `salt` should be 16 random bytes. */
export function buildVerifier(
  password: string,
  salt: Buffer,
  iterations: number = DEFAULT_ITERATIONS,
): string {
  const { clientKey, serverKey } = deriveKeys(password, salt, iterations)
  return formatVerifier({ iterations, salt, storedKey: sha256(clientKey), serverKey })
}

export function formatVerifier(verifier: ScramVerifier): string {
  const [salt, storedKey, serverKey] = [verifier.salt, verifier.storedKey, verifier.serverKey].map((bytes) =>
    bytes.toString('base64'),
  )
  return `SCRAM-SHA-256$${verifier.iterations}:${salt}$${storedKey}:${serverKey}`
}

const VERIFIER = /^SCRAM-SHA-256\$([1-9]\d{0,9}):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)$/

/** Undefined when the text is no SCRAM verifier (an MD5 hash, say). */
export function parseVerifier(text: string): ScramVerifier | undefined {
  const match = VERIFIER.exec(text)
  if (match === null) return undefined
  const [salt, storedKey, serverKey] = match.slice(2).map((part) => Buffer.from(part, 'base64'))
  if (storedKey!.length !== KEY_BYTES || serverKey!.length !== KEY_BYTES) return undefined
  return { iterations: Number(match[1]), salt: salt!, storedKey: storedKey!, serverKey: serverKey! }
}

/**
 * Stands in for the verifier of a user who has none, so that the exchange goes on as for any other and tells
 * nobody which users exist. The same user gets the same salt for as long as `mockSecret` is the same.
 */
export function mockVerifier(user: string, mockSecret: Buffer): ScramVerifier {
  const salt = hmac(mockSecret, user).subarray(0, SALT_BYTES)
  const key = hmac(mockSecret, salt)
  return { iterations: DEFAULT_ITERATIONS, salt, storedKey: key, serverKey: key }
}
