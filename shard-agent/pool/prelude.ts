/** What a backend is told before it serves somebody with settings of their own. */

/**
 * A backend of the pool waits for work, and its client may wait for nothing meanwhile: how long sessions may idle is the
 * coordinator's to see. Last, as settings and RESET ALL may bring a limit.
 */
export const NEVER_IDLES_OUT = 'SET idle_session_timeout = 0'

/** Back to what the connection began with, then `settings`. */
export function preludeSql(settings: string): string {
  return `RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL;${settings};${NEVER_IDLES_OUT}`
}
