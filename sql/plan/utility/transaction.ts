import type { TransactionStmt } from '@pgsql/types'
import { InvariantError } from '../../../errors/pg-error.ts'
import { as, type Node } from '../../parse/ast.ts'
import type { Plan, TransactionPlan } from '../plan.ts'
import { common, MAY_UNPIN, refuse } from './plans.ts'

type Verb = TransactionPlan['verb']
export type Modes = NonNullable<TransactionPlan['modes']>

/** BEGIN, COMMIT, SAVEPOINT and their kin. */
export function planTransaction(stmt: TransactionStmt): Plan {
  const modes = modesOf(stmt.options)
  switch (stmt.kind) {
    case 'TRANS_STMT_BEGIN':
      return transaction('BEGIN', 'begin', { modes })
    case 'TRANS_STMT_START':
      return transaction('START TRANSACTION', 'begin', { modes })
    case 'TRANS_STMT_COMMIT':
      return transaction('COMMIT', 'commit', { chain: stmt.chain ?? false })
    case 'TRANS_STMT_ROLLBACK':
      return transaction('ROLLBACK', 'rollback', { chain: stmt.chain ?? false })
    case 'TRANS_STMT_SAVEPOINT':
      return transaction('SAVEPOINT', 'savepoint', { name: stmt.savepoint_name ?? '' })
    case 'TRANS_STMT_RELEASE':
      return transaction('RELEASE', 'release', { name: stmt.savepoint_name ?? '' })
    case 'TRANS_STMT_ROLLBACK_TO':
      return transaction('ROLLBACK', 'rollback-to', { name: stmt.savepoint_name ?? '' })
    case 'TRANS_STMT_PREPARE':
      return refusePrepared('PREPARE TRANSACTION')
    case 'TRANS_STMT_COMMIT_PREPARED':
      return refusePrepared('COMMIT PREPARED')
    case 'TRANS_STMT_ROLLBACK_PREPARED':
      return refusePrepared('ROLLBACK PREPARED')
    default:
      throw new InvariantError(`unexpected transaction statement ${stmt.kind}`)
  }
}

/** What a failed block takes: the statements that end it, or a part of it. */
export function endsTransaction(node: Node): boolean {
  const kind = as(node, 'TransactionStmt')?.kind
  return kind !== undefined && EXITS.has(kind)
}
const EXITS: ReadonlySet<string> = new Set([
  'TRANS_STMT_COMMIT',
  'TRANS_STMT_PREPARE',
  'TRANS_STMT_ROLLBACK',
  'TRANS_STMT_ROLLBACK_TO',
])

function refusePrepared(tag: string): Plan {
  return refuse(
    tag,
    'prepare_transaction',
    `${tag} is not supported`,
    'Weft prepares a transaction on its shards itself when it commits on several. Use COMMIT or ROLLBACK.',
  )
}

/** SET TRANSACTION …, and SET transaction_isolation and its kin, which mean the same. */
export function setCharacteristics(modes: Modes): Plan {
  return transaction('SET', 'set-characteristics', { modes })
}

function transaction(
  tag: string,
  verb: Verb,
  fields: { name?: string; chain?: boolean; modes?: Modes | undefined },
): TransactionPlan {
  const { name, chain = false, modes } = fields
  // Modes and names are part of the fingerprint, but a SET transaction_isolation = '…' holds a literal.
  const generic = verb !== 'set-characteristics'
  // Temporary tables, LISTENs and held cursors come and go with these.
  const ends = verb === 'commit' || verb === 'rollback' || verb === 'rollback-to'
  return {
    ...common(tag, { generic, ...(ends ? { effects: MAY_UNPIN } : {}) }),
    kind: 'transaction',
    verb,
    chain,
    ...(name === undefined ? {} : { name }),
    ...(modes === undefined ? {} : { modes }),
  }
}

/** The modes of BEGIN and SET TRANSACTION; undefined when none is named. Later ones win, as in Postgres. */
export function modesOf(options: readonly Node[] | undefined): Modes | undefined {
  const modes: { -readonly [K in keyof Modes]: Modes[K] } = {}
  for (const node of options ?? []) {
    const option = as(node, 'DefElem')
    const value = as(option?.arg, 'A_Const')
    if (option?.defname === 'transaction_isolation') {
      const isolation = isolationOf(value?.sval?.sval ?? '')
      if (isolation !== undefined) modes.isolation = isolation
    } else if (option?.defname === 'transaction_read_only') modes.readOnly = (value?.ival?.ival ?? 0) !== 0
    else if (option?.defname === 'transaction_deferrable') modes.deferrable = (value?.ival?.ival ?? 0) !== 0
  }
  return Object.keys(modes).length === 0 ? undefined : modes
}

export function isolationOf(text: string): Modes['isolation'] {
  const isolation = text.toLowerCase()
  switch (isolation) {
    case 'read uncommitted':
    case 'read committed':
    case 'repeatable read':
    case 'serializable':
      return isolation
    default:
      return undefined
  }
}
