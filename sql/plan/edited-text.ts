import { nextToken } from './text-scan.ts'

/** A part of a text that was put together from another one. */
export interface Piece {
  readonly text: string
  /** Where in the text as it was it stands, or what it takes the place of. UTF-16. */
  readonly from: number
  readonly isNew: boolean
}

export interface Edit {
  readonly start: number
  readonly end: number
  readonly text: string
}

export interface Rewritten {
  readonly sql: string
  /** Parameter n of `sql` is the client's parameter `params[n - 1]`: Postgres cannot type a number that is left out. */
  readonly params: readonly number[]
  /** Where in the text as it was an error's position (characters, from 1) is. */
  positionBefore(position: number): number
}

/** Edits at the same place come in the order given. */
export function edited(sql: string, start: number, end: number, edits: readonly Edit[]): Piece[] {
  if (edits.length === 0) return [kept(sql, start, end)]
  const pieces: Piece[] = []
  let at = start
  for (const edit of [...edits].sort((a, b) => a.start - b.start)) {
    pieces.push(kept(sql, at, edit.start), { text: edit.text, from: edit.start, isNew: true })
    at = edit.end
  }
  pieces.push(kept(sql, at, end))
  return pieces
}

/** The pieces as they are, parameters with their numbers. */
export function joined(sql: string, pieces: readonly Piece[]): Omit<Rewritten, 'params'> {
  const text = pieces.map((piece) => piece.text).join('')
  return { sql: text, positionBefore: (position) => positionBefore(sql, pieces, position) }
}

function kept(sql: string, start: number, end: number): Piece {
  return { text: sql.slice(start, end), from: start, isNew: false }
}

/**
 * `sql` as the pieces make it, its parameters numbered anew, without gaps, in the order in which they first appear. No
 * piece ends within a token.
 */
export function rewritten(sql: string, pieces: readonly Piece[]): Rewritten {
  const params: number[] = []
  const all: Piece[] = []
  let text = ''
  for (const piece of pieces) {
    const parts = piece.text.includes('$') ? renumbered(piece, params) : [piece]
    for (const part of parts) {
      all.push(part)
      text += part.text
    }
  }
  return {
    sql: text,
    params,
    positionBefore: (position) => positionBefore(sql, all, position),
  }
}

/** Numbers the parameters of a text anew, without gaps, in the order in which they first appear. */
export function renumberParams(sql: string): Rewritten {
  return rewritten(sql, edited(sql, 0, sql.length, []))
}

function renumbered({ text, from, isNew }: Piece, params: number[]): Piece[] {
  const pieces: Piece[] = []
  const place = (offset: number): number => (isNew ? from : from + offset)
  let at = 0
  for (let t = nextToken(text, 0); t; t = nextToken(text, t.end)) {
    if (text.charCodeAt(t.start) !== 0x24 || !isDigit(text.charCodeAt(t.start + 1))) continue
    const number = Number(text.slice(t.start + 1, t.end))
    if (!params.includes(number)) params.push(number)
    pieces.push({ text: text.slice(at, t.start), from: place(at), isNew })
    pieces.push({ text: `$${params.indexOf(number) + 1}`, from: place(t.start), isNew: true })
    at = t.end
  }
  return [...pieces, { text: text.slice(at), from: place(at), isNew }]
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39
}

/** Postgres counts characters, not UTF-16 units. */
function positionBefore(sql: string, pieces: readonly Piece[], position: number): number {
  let left = position - 1
  for (const { text, from, isNew } of pieces) {
    const { length } = [...text]
    if (left < length) return [...sql.slice(0, from)].length + (isNew ? 0 : left) + 1
    left -= length
  }
  return [...sql].length + 1
}
