import { quoteName, quoteTable } from '../../sql/plan/text-scan.ts'

export { quoteName, quoteTable }

export const quoteNames = (names: readonly string[]): string => names.map(quoteName).join(', ')

/** Texts as a text[] is written. */
export const textArray = (texts: readonly (string | null)[]): string =>
  `{${texts.map((text) => (text === null ? 'NULL' : `"${text.replace(/[\\"]/g, '\\$&')}"`)).join(',')}}`
