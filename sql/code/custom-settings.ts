/**
 * Custom settings (`my.name`) in texts. Postgres lists them nowhere, and a connection in which one has had a value never
 * forgets that: it then reads as '' where it is unknown elsewhere (docs/decisions/0024-custom-settings.md). So who asks for
 * which, and who sets which, is read from statements and code. PURE.
 */

/** In place of names that are put together as the code runs; `my.*` where it is known how they begin. */
export const ANY_NAME = '*'

/** Begins names that nobody gives a value. */
export const UNSET = 'weft.unset.'
/** The function of schema weft that puts it ahead of a name which reads as '' and the session has not had. */
export const ASKED_SETTING = 'asked_setting'

export interface CustomUse {
  /** Names it may ask for, whether or not they have a value. */
  readonly asks: readonly string[]
  /** Names it may give a value. */
  readonly sets: readonly string[]
}

export const NO_CUSTOM_USE: CustomUse = { asks: [], sets: [] }

const NAME = '(?:"(?:[^"]|"")+"|[\\p{L}_][\\p{L}\\p{N}_$]*)'
const DOTTED = `${NAME}(?:\\s*\\.\\s*${NAME})+`
const SCOPE = '(?:(?:local|session)\\s+)?'

const LITERAL = /^\s*(?:e?'((?:[^'\\]|'')*)'|''([^'\\]*)'')(?:\s*::\s*[\w."]+)?\s*[,)]/i
const PREFIX = /^\s*(?:e?'([^'\\]*)'|''([^'\\]*)'')(?:\s*::\s*\w+)?\s*\|\|/i
const PARAMETER = /^\s*(\$\d+)(?:\s*::\s*[\w."]+)?\s*[,)]/
const SETS = new RegExp(`\\b(?:set|reset)\\s+${SCOPE}(${DOTTED})`, 'giu')
const SETS_CURRENT = new RegExp(`\\bset\\s+${SCOPE}(${DOTTED})\\s+from\\s+current\\b`, 'giu')
const SHOWS = new RegExp(`\\bshow\\s+(${DOTTED})`, 'giu')
/** A statement that is put together: its name comes from elsewhere. */
const SETS_ANY = new RegExp(`\\b(?:set|reset)\\s+${SCOPE}(?:${NAME}\\s*\\.\\s*)*(?:'|%)`, 'iu')
const SHOWS_ANY = new RegExp(`\\bshow\\s+(?:${NAME}\\s*\\.\\s*)*(?:'|%)`, 'iu')
const UPDATES = /\bupdate\s+(?:only\s+)?[^\s;]+(?:\s+(?:as\s+)?[^\s;]+)?\s+set\b|\bupdate\s+set\b/giu

/** Parameters that give names come as `$1`. */
export function customUseIn(text: string): CustomUse {
  const asks = new Set<string>()
  const sets = new Set<string>()
  if (/current_setting|pg_settings_get_flags/i.test(text)) calls(text, 'current_setting', asks)
  if (/pg_settings_get_flags/i.test(text)) calls(text, 'pg_settings_get_flags', asks)
  if (/set_config/i.test(text)) calls(text, 'set_config', sets)
  if (/\bshow\b/i.test(text)) {
    written(text, SHOWS, asks)
    if (SHOWS_ANY.test(text)) asks.add(ANY_NAME)
  }
  if (/\b(?:re)?set\b/i.test(text)) {
    const rest = text.replace(UPDATES, ' ')
    written(rest, SETS, sets)
    written(rest, SETS_CURRENT, asks)
    if (SETS_ANY.test(rest)) sets.add(ANY_NAME)
  }
  return asks.size + sets.size === 0 ? NO_CUSTOM_USE : { asks: [...asks], sets: [...sets] }
}

/** What the first argument of each call names. */
function calls(text: string, name: string, into: Set<string>): void {
  for (const { 0: call, 1: open, index } of text.matchAll(
    new RegExp(`\\b${name}"?\\s*(\\(|/\\*|--)`, 'gi'),
  )) {
    const rest = text.slice(index + call.length)
    const literal = LITERAL.exec(rest)
    if (open !== '(') into.add(ANY_NAME)
    else if (literal !== null) addCustom((literal[1] ?? literal[2]!).replaceAll("''", "'"), into)
    else into.add(PARAMETER.exec(rest)?.[1] ?? beginning(PREFIX.exec(rest)))
  }
}

function beginning(prefix: RegExpExecArray | null): string {
  const text = prefix?.[1] ?? prefix?.[2] ?? ''
  return /^[\p{L}_][\p{L}\p{N}_$]*\./u.test(text) ? `${text.toLowerCase()}${ANY_NAME}` : ANY_NAME
}

/** Whether it may be one of those; `names`: as of a `CustomUse`. */
export function isAmong(name: string, names: Iterable<string>): boolean {
  for (const other of names) {
    if (other.endsWith(ANY_NAME) ? name.startsWith(other.slice(0, -1)) : name === other) return true
  }
  return false
}

const WORDS_MAX = 200
const WORD = /^[\p{L}\p{N}_$.]{1,63}$/u

/** What names may be that are put together: each of their beginnings with each of the words that were around. */
export function namesPutTogether(names: Iterable<string>, words: Iterable<string>): readonly string[] {
  const ends = [...new Set(words)].filter((word) => WORD.test(word)).slice(0, WORDS_MAX)
  const beginnings = [...names].filter((name) => name.endsWith(ANY_NAME) && name !== ANY_NAME)
  return beginnings.flatMap((name) => ends.map((end) => name.slice(0, -1) + end.toLowerCase()))
}

/** Strings in a text. */
export function stringsIn(text: string): readonly string[] {
  return [...text.matchAll(/'([^']*)'/g)].map(([, string = '']) => string)
}

function written(text: string, statement: RegExp, into: Set<string>): void {
  for (const [, dotted = ''] of text.matchAll(statement)) {
    const parts = dotted.match(new RegExp(NAME, 'gu')) ?? []
    addCustom(parts.map((part) => part.replace(/^"|"$/g, '').replaceAll('""', '"')).join('.'), into)
  }
}

function addCustom(name: string, into: Set<string>): void {
  if (isCustom(name)) into.add(name.toLowerCase())
}

/** Not Postgres' own, which have no dot, and not Weft's. */
export function isCustom(name: string): boolean {
  return name.includes('.') && !/^weft\./i.test(name)
}

export function bothUses(a: CustomUse, b: CustomUse): CustomUse {
  if (a === NO_CUSTOM_USE) return b
  if (b === NO_CUSTOM_USE) return a
  return { asks: [...new Set([...a.asks, ...b.asks])], sets: [...new Set([...a.sets, ...b.sets])] }
}
