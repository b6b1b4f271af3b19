/**
 * Postgres messages built byte by byte, the slow and obvious way, sharing no code with `protocol/wire`: codec and
 * test can't have a bug in common.
 */
export type Part = number[] | Buffer | string

export const i16 = (n: number): number[] => [(n >>> 8) & 255, n & 255]
export const i32 = (n: number): number[] => [(n >>> 24) & 255, (n >>> 16) & 255, (n >>> 8) & 255, n & 255]
/** A C string. */
export const cs = (text: string): number[] => [...new TextEncoder().encode(text), 0]
/** A length-prefixed value; null: NULL. */
export const val = (value: string | Buffer | null): number[] => {
  if (value === null) return [255, 255, 255, 255]
  const bytes = typeof value === 'string' ? [...new TextEncoder().encode(value)] : [...value]
  return [...i32(bytes.length), ...bytes]
}

const flatten = (parts: readonly Part[]): number[] =>
  parts.flatMap((p) => (typeof p === 'string' ? [...new TextEncoder().encode(p)] : [...p]))

/** Type letter, length, body. */
export function message(type: string, ...parts: Part[]): Buffer {
  const body = flatten(parts)
  return Buffer.from([type.charCodeAt(0), ...i32(body.length + 4), ...body])
}

/** Length, body: the packets before authentication. */
export function packet(...parts: Part[]): Buffer {
  const body = flatten(parts)
  return Buffer.from([...i32(body.length + 4), ...body])
}

/** Deterministic pseudo-random numbers in [0, 1) (mulberry32). */
export function seededRandom(seed: number): () => number {
  let a = seed >>> 0
  return () => {
    a = (a + 0x6d2b79f5) >>> 0
    let t = a
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}
