import type { FunctionComponent } from 'preact'
import { Audit } from './audit.tsx'
import { Log } from './log.tsx'
import { Overview } from './overview.tsx'
import { Sessions } from './sessions.tsx'
import { Settings } from './settings.tsx'
import { Shards } from './shards.tsx'
import { Statements } from './statements.tsx'
import { Tables } from './tables.tsx'

export interface Page {
  /** In the address, after #/. */
  readonly path: string
  readonly title: string
  readonly View: FunctionComponent
  /** An agent can tell it, too. */
  readonly ofAgents?: true
}

/** In the order of the menu, and of the keys 1 to 8. */
export const PAGES: readonly Page[] = [
  { path: '', title: 'Overview', View: Overview, ofAgents: true },
  { path: 'shards', title: 'Shards', View: Shards },
  { path: 'tables', title: 'Tables', View: Tables },
  { path: 'statements', title: 'Statements', View: Statements },
  { path: 'sessions', title: 'Sessions', View: Sessions },
  { path: 'log', title: 'Transaction log', View: Log },
  { path: 'audit', title: 'Audit', View: Audit },
  { path: 'settings', title: 'Settings', View: Settings, ofAgents: true },
]
