/** A name as an SQL identifier, always quoted. */
export const quoteName = (name: string): string => `"${name.replaceAll('"', '""')}"`

export const quoteNames = (names: readonly string[]): string => names.map(quoteName).join(', ')

/** Names as a text[] is written. */
export const textArray = (names: readonly string[]): string =>
  `{${names.map((name) => `"${name.replace(/[\\"]/g, '\\$&')}"`).join(',')}}`
