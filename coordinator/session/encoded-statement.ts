import { weftError } from '../../errors/catalog.ts'
import type { ExecContext, Execution } from '../execute/context.ts'

const ENCODED_COPY = weftError('not_supported', {
  id: 'client_encoding',
  what: 'COPY in binary or with ENCODING, under a client_encoding other than UTF8',
  hint: 'Use client_encoding UTF8 for it.',
})

/**
 * Ahead of a statement of a client whose encoding is not UTF8. Rows that the encoding has no characters for are the
 * statement's error: it must not have committed by then, so what returns rows and writes gets a transaction.
 */
export function beginEncoded({ tx, settings }: ExecContext, { plan, text }: Execution, alone: boolean): void {
  if (plan.tag === 'COPY' && /\b(binary|encoding)\b/i.test(text)) throw ENCODED_COPY
  if (!alone || tx.kind !== 'none' || plan.access === 'read' || !plan.returnsRows) return
  if (plan.outsideTransaction || plan.commits === 'within') return
  tx.begin('implicit')
  settings.begin()
}
