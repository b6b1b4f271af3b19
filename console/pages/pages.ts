import type { FunctionComponent } from 'preact'
import { Overview } from './overview.tsx'

export interface Page {
  /** In the address, after #/. */
  readonly path: string
  readonly title: string
  readonly View: FunctionComponent
}

/** In the order of the menu, and of the keys 1 to 9. */
export const PAGES: readonly Page[] = [{ path: '', title: 'Overview', View: Overview }]
