import { createHash } from 'node:crypto'

/** The name under which a text is prepared: the same text, the same name. */
export const statementName = (text: string): string =>
  `weft_${createHash('sha256').update(text).digest('base64url').slice(0, 32)}`
