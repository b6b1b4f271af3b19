import { parameterStatus, parseParameterStatus } from '../../../protocol/wire/backend-messages.ts'

/**
 * What the client has been told of the reported parameters (application_name, TimeZone, …). Changes are said right
 * before the next ReadyForQuery, each once, and only what differs from what was said last: as Postgres does.
 */
export class ParameterReport {
  private readonly said = new Map<string, string>()
  private readonly noted = new Map<string, string>()

  /** Changes wait to be said. */
  get isDue(): boolean {
    return this.noted.size > 0
  }

  /** What the client knows. */
  told(name: string): string | undefined {
    return this.said.get(name)
  }

  note(name: string, value: string): void {
    this.noted.set(name, value)
  }

  /** A whole ParameterStatus message of a backend. */
  noteMessage(message: Buffer): void {
    const { name, value } = parseParameterStatus(message, 5, message.length)
    this.note(name, value)
  }

  /** The messages that are due. */
  take(): Buffer[] {
    if (this.noted.size === 0) return []
    const messages: Buffer[] = []
    for (const [name, value] of this.noted) {
      if (this.said.get(name) === value) continue
      this.said.set(name, value)
      messages.push(parameterStatus(name, value))
    }
    this.noted.clear()
    return messages
  }
}
