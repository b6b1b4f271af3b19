/**
 * What stays in a connection until it is closed, whatever is reset or discarded: connections of dblink, libraries that were
 * loaded, the replication origin, temporary slots, a backup that was begun, global variables of other languages. PURE.
 */

const CALLS =
  /^(?:dblink_connect|pg_replication_origin_session_setup|pg_create_(?:physical|logical)_replication_slot|pg_copy_(?:physical|logical)_replication_slot|pg_(?:backup_start|start_backup))/
const LOADS = /\bload\s*(?:'|%)/i
/** By which code in other languages says that it shares anything. */
const GLOBALS = /\b(?:GD|SD|our|globals?|globalThis)\b|_SHARED\b/

/** Of calling a function of the name. */
export function callLeavesForGood(name: string): boolean {
  return CALLS.test(name)
}

/** `language`: in lower case. */
export function leavesForGood(language: string, text: string, words: ReadonlySet<string>): boolean {
  for (const word of words) if (CALLS.test(word)) return true
  if (language === 'query') return false
  if (language === 'sql' || language === 'plpgsql') return words.has('load') && LOADS.test(text)
  return GLOBALS.test(text)
}
