/** What code in the database may do to the session that runs it, as far as its text tells. PURE. */
import { wordsOf } from '../words.ts'
import { declaresByName } from './declarations.ts'
import { leavesForGood } from './lasting-state.ts'

/** One bit each; what cannot be known is all of them. */
export const EFFECT = {
  /** Changes settings, the role among them. */
  settings: 1,
  /** Leaves temporary objects, session advisory locks, channels, cursors, prepared statements. */
  objects: 2,
  /** Advances sequences. */
  advances: 4,
  /** Reads what the session last got of a sequence. */
  readsSequences: 8,
  /** Seeds random(). */
  seeds: 16,
  /** Runs statements that are put together as it runs: it may name any table. */
  dynamic: 32,
  /** Speaks of backends: what it is told is about the one that runs it, which is no client's. Refused where it is run. */
  backends: 64,
  /** May read or write sharded or reference tables that the statement does not name: code that names them, or anything. */
  reaches: 128,
  /** PL/pgSQL with declarations of types that search_path finds: compiled once per backend. */
  compiles: 256,
  /** Asks for custom settings, or sets some (custom-settings.ts). */
  names: 512,
  /** Leaves what nobody can list and nothing takes away (lasting-state.ts). */
  lasts: 1024,
  /** Makes or changes what every shard must have alike: roles, privileges, types, functions, extensions and their kin. */
  defines: 2048,
  /** Sets sequences, or changes them. */
  sets: 4096,
} as const

export type Effects = number
export const NO_EFFECTS: Effects = 0
/** Of a text that nobody can look into. That it speaks of backends is not supposed: most code does not. */
export const ANY_EFFECTS: Effects = 191 | EFFECT.defines | EFFECT.sets
/** No more can be known of a text. */
export const ALL_EFFECTS: Effects =
  ANY_EFFECTS | EFFECT.backends | EFFECT.compiles | EFFECT.names | EFFECT.lasts

/** By which the catalog's queries say that a function has a search path of its own. */
export const OWN_PATH = 'weft_own_path'
/** Of these something is to be seen in a backend afterwards, or nobody can tell that there is nothing. */
export const STATE_EFFECTS: Effects =
  EFFECT.settings | EFFECT.objects | EFFECT.seeds | EFFECT.dynamic | EFFECT.lasts

/** Functions of Postgres' own. */
const CALLS: ReadonlyMap<string, Effects> = new Map([
  ...each('set_config', EFFECT.settings),
  ...each('nextval', EFFECT.advances),
  ...each('setval', EFFECT.advances | EFFECT.sets),
  ...each('currval lastval', EFFECT.readsSequences),
  ...each('setseed', EFFECT.seeds),
  ...each(
    `pg_backend_pid pg_cancel_backend pg_terminate_backend pg_blocking_pids pg_isolation_test_session_is_blocked
     pg_safe_snapshot_blocking_pids pg_stat_activity pg_stat_get_activity pg_stat_get_backend_pid pg_locks pg_lock_status
     pg_log_backend_memory_contexts`,
    EFFECT.backends,
  ),
  ...each(
    `query_to_xml query_to_xmlschema query_to_xml_and_xmlschema cursor_to_xml table_to_xml table_to_xmlschema
     table_to_xml_and_xmlschema schema_to_xml schema_to_xmlschema schema_to_xml_and_xmlschema database_to_xml
     database_to_xmlschema database_to_xml_and_xmlschema ts_stat ts_rewrite`,
    ANY_EFFECTS,
  ),
])
/** Words of statements. */
const STATEMENTS: ReadonlyMap<string, Effects> = new Map([
  ...each('reset', EFFECT.settings),
  ...each('temp temporary listen unlisten prepare deallocate hold discard load', EFFECT.objects),
  ...each('seed', EFFECT.seeds),
  ...each('execute', ANY_EFFECTS),
  ...each('restart sequence increment', EFFECT.sets),
  // Defaults may draw, of tables that are made later too.
  ...each('insert merge copy default', EFFECT.advances),
])

function each(words: string, effects: Effects): [string, Effects][] {
  return words.split(/\s+/).map((word) => [word, effects])
}

const SESSION_LOCK = /^pg_(try_)?advisory_(un)?lock/
const TEMPORARY = /^pg_temp/

/** Of calling a function of this name, when it is Postgres' own. */
function effectsOfCall(word: string): Effects {
  return CALLS.get(word) ?? (SESSION_LOCK.test(word) ? EFFECT.objects : NO_EFFECTS)
}

function effectsOfStatement(word: string): Effects {
  return STATEMENTS.get(word) ?? (TEMPORARY.test(word) ? EFFECT.objects : NO_EFFECTS)
}

const DEFINING_VERBS = ['create', 'alter', 'drop', 'comment', 'label']
const PRIVILEGE_VERBS = ['grant', 'revoke', 'reassign']
/** Not those of relations, which are the home shard's own or are told by their locks. */
const DEFINITION = new RegExp(
  String.raw`\b(?:create|alter|drop|comment\s+on|label(?:\s+for\s+\S+)?\s+on)\s+(?:or\s+replace\s+)?` +
    '(?:(?:trusted|procedural|constraint|event|recursive|default|text|access)\\s+)*' +
    '(?:role|user|group|database|tablespace|type|domain|schema|function|procedure|routine|aggregate|operator|cast|' +
    'collation|conversion|extension|language|search|transform|method|privileges|owned|parameter|view|trigger|rule|' +
    'policy)\\b',
  'i',
)
const COMMENTS = /--[^\n]*|\/\*[\s\S]*?\*\//g

function definesShared(text: string, words: ReadonlySet<string>): boolean {
  if (PRIVILEGE_VERBS.some((verb) => words.has(verb))) return true
  if (!DEFINING_VERBS.some((verb) => words.has(verb))) return false
  return DEFINITION.test(text) || DEFINITION.test(text.replace(COMMENTS, ' '))
}

/** Names whose letters are written as numbers. */
const ESCAPED = /u&['"]/i
const SET = /(?<![\p{L}\p{N}_$])set(?![\p{L}\p{N}_$])/iu
/** The SET of an UPDATE, of an upsert, and of a foreign key's actions. */
const OTHER_SETS =
  /\bupdate\s+(?:only\s+)?(?!(?:then|else|loop|begin)\b)(?:[\p{L}\p{N}_$"]+\s*\.\s*)?[\p{L}\p{N}_$"]+(?:\s*\*)?(?:\s+(?:as\s+)?(?!set\b)[\p{L}\p{N}_$"]+)?\s+set\b|\bupdate\s+set\b|\bon\s+(?:delete|update)\s+set\b/giu

/** Types are looked up by the search path of the first call, and what a backslash is is read by its settings. */
function staysAsCompiled(text: string, words: ReadonlySet<string>): boolean {
  return text.includes('\\') || (!words.has(OWN_PATH) && declaresByName(text))
}

/** `query`: no statements but SELECTs and what views and expressions are made of, as Postgres prints it. */
export type Language = 'query' | 'sql' | 'plpgsql' | (string & {})

/** Of a text, but for what other code does that it names. */
export function effectsOfText(language: Language, text: string, words = wordsOf(text)): Effects {
  const folded = language.toLowerCase()
  const isKnown = folded === 'query' || folded === 'sql' || folded === 'plpgsql'
  let effects = isKnown && !ESCAPED.test(text) ? NO_EFFECTS : ANY_EFFECTS
  for (const word of words) effects |= effectsOfCall(word)
  if (leavesForGood(folded, text, words)) effects |= EFFECT.lasts
  if (folded === 'query') return effects
  if (folded === 'plpgsql' && staysAsCompiled(text, words)) effects |= EFFECT.compiles
  for (const word of words) effects |= effectsOfStatement(word)
  if (definesShared(text, words)) effects |= EFFECT.defines
  if (words.has('set') && SET.test(text.replace(OTHER_SETS, ' '))) effects |= EFFECT.settings
  return effects
}
