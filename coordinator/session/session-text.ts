import { PgError } from '../../errors/pg-error.ts'
import type { ClientOutput } from '../execute/answers/client-output.ts'
import { InboundText, OutboundText } from '../execute/answers/client-text.ts'
import type { TextEncoding } from '../settings/text-encoding.ts'
import type { Prepared } from './prepared.ts'

/** Which encodings this node can convert. */
export interface KnownEncodings {
  find(name: string | undefined): TextEncoding | undefined
}

/** In which encoding a client's texts come and go. */
export class SessionText {
  private readonly out: ClientOutput
  private readonly prepared: ReadonlyMap<string, Prepared>
  private readonly encodings: KnownEncodings
  private encoding: TextEncoding | undefined
  private inbound: InboundText | undefined

  constructor(out: ClientOutput, prepared: ReadonlyMap<string, Prepared>, encodings: KnownEncodings) {
    this.out = out
    this.prepared = prepared
    this.encodings = encodings
  }

  /** Texts have to be converted. */
  get isOther(): boolean {
    return this.inbound !== undefined
  }

  /** From the next message on, both ways. */
  use(name: string | undefined): void {
    const encoding = this.encodings.find(name)
    if (this.encoding === encoding) return
    this.encoding = encoding
    this.inbound =
      encoding && new InboundText(encoding, (statement) => this.prepared.get(statement)?.paramTypes)
    this.out.text = encoding && new OutboundText(encoding)
  }

  /** Of COPY data that was refused. */
  get copyLine(): number | undefined {
    return this.inbound?.copyLine
  }

  /** The message in UTF8, or why it cannot be. */
  read(type: number, frame: Buffer): Buffer | PgError {
    try {
      return this.inbound === undefined ? frame : this.inbound.frame(type, frame)
    } catch (error) {
      if (error instanceof PgError && error.severity !== 'FATAL') return error
      throw error
    }
  }
}
