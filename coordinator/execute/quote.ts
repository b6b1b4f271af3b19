/** A name as an SQL identifier, always quoted. */
export const quoteName = (name: string): string => `"${name.replaceAll('"', '""')}"`

export const quoteNames = (names: readonly string[]): string => names.map(quoteName).join(', ')
