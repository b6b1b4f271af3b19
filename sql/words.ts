/** What names a custom setting, and nothing else: `current_setting('a.b'`, `SET LOCAL a.b =`. */
const SETTING_CALL =
  /(?<![\p{L}\p{N}_$"])(?<!\.\s*)((?:pg_catalog\s*\.\s*)?(?:current_setting|set_config)\s*\(\s*e?)'+[^']*'/gu
const SETTING_SET =
  /(\bset\s+(?:local\s+|session\s+)?)[\p{L}\p{N}_$]+(?:\.[\p{L}\p{N}_$]+)+(?=\s*(?:=|to\b))/gu

/** The words of a text in lower case: whatever could be a name in it, in comments and strings too. */
export function wordsOf(text: string): ReadonlySet<string> {
  const folded = text.toLowerCase()
  const isPlain = !folded.includes('set')
  const named = isPlain ? folded : folded.replaceAll(SETTING_CALL, '$1').replaceAll(SETTING_SET, '$1')
  return new Set(named.match(/[\p{L}\p{N}_$]+/gu))
}

/** Comments, names in quotes, strings; an escape string is told by its letter. */
const QUOTED =
  /--[^\n\r]*|\/\*[\s\S]*?\*\/|"(?:[^"]|"")*"|[eE]'(?:[^'\\]|''|\\[\s\S])*'|'(?:[^']|'')*'|(?<![\w$\u0080-\uffff])\$([A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$[\s\S]*?\$\1\$/g
/** Where a string ends depends on `standard_conforming_strings` then. */
export const MISREAD = /\\'/
const NESTED = /^\/\*[\s\S]*\/\*/

/** The text without what strings and comments say; where they cannot be told, all of it. */
export function withoutStrings(text: string): string {
  if (MISREAD.test(text)) return text
  let isClear = true
  const code = text.replaceAll(QUOTED, (part) => {
    if (NESTED.test(part)) isClear = false
    return part.startsWith('"') ? part : ' '
  })
  return isClear ? code : text
}

const isPlain = (name: string): boolean => /^[\p{L}\p{N}_$]+$/u.test(name)

/** Whether a text may name it: a word in a comment counts, so that none is overlooked. */
export function mayName(text: string, words: ReadonlySet<string>, name: string): boolean {
  const folded = name.toLowerCase()
  return isPlain(folded) ? words.has(folded) : text.toLowerCase().includes(folded.replaceAll('"', '""'))
}

const AFTER_NAME = '"?\\s*(?:\\(|/\\*|--)'

/** Words only, and no query: the names of functions that something runs. */
const NAMES = /^(?!.*\bselect\b)[\p{L}\p{N}_$" ]*$/iu

/** Whether a text that may name a function may call it too. */
export function mayCall(text: string, name: string): boolean {
  if (NAMES.test(text)) return true
  const written = name.replaceAll('"', '""').replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&')
  return new RegExp(written + AFTER_NAME, 'iu').test(text)
}
