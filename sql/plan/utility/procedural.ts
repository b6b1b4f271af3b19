import type { CallStmt, DoStmt } from '@pgsql/types'
import { UNKNOWN_CODE } from '../../code/code-graph.ts'
import { EFFECT, STATE_EFFECTS } from '../../code/effects.ts'
import { mayEndTransaction, type Procedures } from '../../ends-transaction.ts'
import { paramsOf, strings } from '../../parse/ast.ts'
import { traitsOf } from '../../tree/traits.ts'
import { mayName, wordsOf } from '../../words.ts'
import { backendsInCode } from '../code-of-backends.ts'
import type { Plan } from '../plan.ts'
import { mayReach, REACHES_NOTHING } from '../reach.ts'
import { functionError } from '../routing.ts'
import { findOption, optionText } from './options.ts'
import {
  forwardAll,
  forwardHome,
  leaving,
  MAY_UNPIN,
  type Overrides,
  PINS,
  refuse,
  refused,
} from './plans.ts'
import type { Scope } from './scope.ts'

/** Then none is known, and each may do anything. */
const UNKNOWN: Procedures = new Map()

/** LISTEN needs one backend for good; notifications all go through the home shard. */
export function planListen(): Plan {
  return forwardHome('LISTEN', { effects: PINS })
}

export function planUnlisten(): Plan {
  return forwardHome('UNLISTEN', { effects: MAY_UNPIN })
}

export function planNotify(): Plan {
  return forwardHome('NOTIFY')
}

export function planLoad(): Plan {
  return refuse(
    'LOAD',
    'server_statement',
    'LOAD is not supported: sessions share their connections to the shards',
    'Load the library in every session of the shards with session_preload_libraries.',
  )
}

export function planCheckpoint(): Plan {
  return forwardAll('CHECKPOINT', { access: 'read' })
}

/**
 * Runs on the home shard, where a sharded table shows only that shard's rows and a reference table only one copy: a
 * block that names one is refused rather than half done.
 */
export function planDo(scope: Scope, stmt: DoStmt): Plan {
  const named = distributedNamedIn(scope, codeOf(stmt).body)
  if (named !== undefined) {
    return refuse(
      'DO',
      'function_names_table',
      `DO blocks that name a sharded or reference table ("${named}") are not supported`,
      'Run the statements from the client, in one transaction.',
    )
  }
  const { language, body } = codeOf(stmt)
  const commits = mayEndTransaction(language, body, scope.catalog.procedures ?? UNKNOWN) ? 'within' : 'apart'
  const all = (scope.catalog.code ?? UNKNOWN_CODE).ofText(language, body)
  if ((all & EFFECT.backends) !== 0) return refused('DO', backendsInCode('a DO block'))
  const reach = mayReach(scope.catalog, all, commits) ? REACHES_NOTHING : undefined
  const overrides: Overrides = { effects: leaving(all & STATE_EFFECTS), reach, generic: false, commits }
  return forwardHome('DO', overrides)
}

function codeOf({ args }: DoStmt): { readonly language: string; readonly body: string } {
  const [language, body] = [findOption(args, 'language'), findOption(args, 'as')]
  return {
    language: (language && optionText(language)) ?? 'plpgsql',
    body: (body && optionText(body)) ?? '',
  }
}

/** Of the body itself, or of a function that it may call. */
function distributedNamedIn({ catalog }: Scope, body: string): string | undefined {
  if (catalog.distributed.length === 0) return undefined
  const words = wordsOf(body)
  const named = catalog.distributed.find(({ name }) => mayName(body, words, name))?.name
  if (named !== undefined) return named
  for (const word of words) {
    const table = catalog.tableInFunction?.(word)
    if (table !== undefined) return table
  }
  return undefined
}

/** On the home shard, as calls of user functions. */
export function planCall(scope: Scope, stmt: CallStmt): Plan {
  const error = functionError(traitsOf({ FuncCall: stmt.funccall }, scope.catalog))
  if (error) return refused('CALL', error)
  const paramCount = Math.max(0, ...paramsOf(stmt).keys())
  const name = strings(stmt.funccall?.funcname).at(-1) ?? ''
  const commits = scope.catalog.procedures?.get(name) === false ? 'apart' : 'within'
  const left = (scope.catalog.code ?? UNKNOWN_CODE).ofFunction(name) & STATE_EFFECTS
  return forwardHome('CALL', { effects: leaving(left), returnsRows: true, paramCount, commits })
}
