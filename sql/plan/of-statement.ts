import type { Catalog } from '../catalog.ts'
import { type Effects, NO_EFFECTS } from '../code/effects.ts'

/** What the code that a statement names may do. */
export function ofStatement(catalog: Catalog, text: string): Effects {
  return catalog.code?.ofStatement(text) ?? NO_EFFECTS
}
