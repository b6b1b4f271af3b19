import { NOTING_TRIGGER } from '../../install/noted-changes.ts'
import { unsupported } from './plans.ts'

/** What clients say about the trigger that Weft itself keeps on reference tables that have others. */
export function refuseNotingTrigger(name: string | undefined): void {
  if (name !== NOTING_TRIGGER) return
  throw unsupported(
    'weft_object',
    `trigger "${NOTING_TRIGGER}" is Weft's own: it tells the copies of a reference table what its triggers have done`,
    'Use another name.',
  )
}
