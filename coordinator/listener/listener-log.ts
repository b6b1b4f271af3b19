/** What this directory needs of a logger; Pino's is one. */
export interface ListenerLog {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}
