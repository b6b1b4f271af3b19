import type { ReplySink } from '../../protocol/agent-link.ts'
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
  /** Coordinators are told that what they have prepared may be out of date. */
  schemaChanged(): void
}

/** Whom nobody listens for any more. */
export const nobody: ReplySink = { data() {}, failed() {}, async() {}, drained() {} }
