import type { News, ReplySink } from '../../protocol/agent-link.ts'
import type { Gate } from '../gate/gate.ts'
import type { ProbeKeeper } from '../participant/probe.ts'
import type { TwoPhase } from '../participant/two-phase.ts'
import type { Pool } from '../pool/pool.ts'
import type { MapVersions } from './map-version.ts'

/** What the sessions of an agent have in common. */
export interface SessionHost {
  readonly shard: number
  readonly gate: Gate
  readonly pool: Pool
  readonly versions: MapVersions
  readonly twoPhase: TwoPhase
  readonly probe: ProbeKeeper
  /** Coordinators are told; resolves when they have heard of it. Never rejects. `by`: who knows it already. */
  tellNews(what: News, by?: object): Promise<void>
}

/** Whom nobody listens for any more. */
export const nobody: ReplySink = { data() {}, failed() {}, async() {}, drained() {} }
