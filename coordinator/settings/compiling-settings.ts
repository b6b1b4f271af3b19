/**
 * The settings of an exec that may have PL/pgSQL compiled (docs/decisions/0009-what-plans-mean.md): the same, with what
 * decides which types its declarations find, and what its strings are.
 */
import type { Settings } from '../../protocol/agent-link.ts'
import { assignmentsOf, deriving } from './settings-sql.ts'

export const compiling = deriving((settings) => ({ codePath: pathOf(settings) }))

/** The search path as it was set, and the role where that is in it; and how strings are read. */
function pathOf(settings: Settings): string {
  const path = searchPathOf(settings)
  return settings.escapes === true ? `${path}\0escapes` : path
}

function searchPathOf(settings: Settings): string {
  const assignments = assignmentsOf(settings)
  // Too long to be kept as assignments, and nobody else's.
  if (assignments.length === 0 && settings.sql !== '') return settings.sql
  const path = assignments.find(({ name }) => name === 'search_path')?.value ?? '$user'
  if (!path.includes('$user')) return path
  const roles = assignments.filter(({ name }) => name === 'role' || name === 'session_authorization')
  return [path, ...roles.map(({ value }) => value)].join('\0')
}
