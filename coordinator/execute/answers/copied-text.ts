import type { PgError } from '../../../errors/pg-error.ts'
import type { TextEncoding } from '../../settings/text-encoding.ts'

const LF = 0x0a
const NOTHING = Buffer.alloc(0)

/** COPY data in a client's encoding, cut anywhere. What comes ahead of an error is given first, as Postgres does. PURE. */
export class CopiedText {
  private readonly encoding: TextEncoding
  /** The beginning of a character. */
  private rest: Buffer = NOTHING
  private error: PgError | undefined
  /** Of the data read so far, the last line. */
  line = 1

  constructor(encoding: TextEncoding) {
    this.encoding = encoding
  }

  /** In UTF8; throws what was wrong with the data before. */
  read(data: Buffer): Buffer {
    if (this.error !== undefined) throw this.error
    const bytes = this.rest.length === 0 ? data : Buffer.concat([this.rest, data])
    const { text, end, error, isCut } = this.encoding.read(bytes)
    if (error === undefined) this.rest = NOTHING
    // What was read is the client's buffer, which may be used again.
    else if (isCut) this.rest = Buffer.from(bytes.subarray(end))
    else this.error = error
    for (let at = text.indexOf(LF); at >= 0; at = text.indexOf(LF, at + 1)) this.line++
    return text
  }

  /** No more of it comes; throws what was wrong with it, if that `counts`. */
  end(counts: boolean): void {
    const { rest } = this
    const error = this.error ?? (rest.length === 0 ? undefined : this.encoding.read(rest).error)
    this.rest = NOTHING
    this.error = undefined
    if (counts && error !== undefined) throw error
    this.line = 1
  }
}
