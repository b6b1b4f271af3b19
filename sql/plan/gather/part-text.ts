import { renumberParams } from '../edited-text.ts'
import type { PartText } from './gather-plan.ts'

/** A text that was put together, with those of the client's parameters that it has. Plans are data: no more of it stays. */
export function partText(text: string): PartText {
  const { sql, params } = renumberParams(text)
  return { sql, params }
}
