import { weftError } from '../../errors/catalog.ts'
import type { Layer, Levels } from './settings.ts'

/** Every backend is given all of them before it runs a statement of the session. */
const SETTINGS_BYTES_MAX = 1 << 20
const ENTRY_BYTES = 100
/** A value is kept by itself and in the text that sets it. */
const COPIES = 2

/** Who is told how many bytes are kept, and may throw when it is more than before. */
export interface SettingsAccount {
  set(bytes: number): void
}

/** What a session's settings take, with those that ROLLBACK and ROLLBACK TO would bring back. */
export class SettingsMemory {
  private readonly account: SettingsAccount | undefined
  private readonly known = new WeakMap<Layer, number>()

  constructor(account: SettingsAccount | undefined) {
    this.account = account
  }

  /** Throws 53200. */
  keep(now: Levels, touched: Layer, before: readonly Levels[]): void {
    const bytes = this.bytesOf(now.session) + this.bytesOf(now.local) + this.bytesOf(touched)
    if (bytes > SETTINGS_BYTES_MAX) {
      throw weftError('out_of_memory', {
        what: `The settings of the session would take ${bytes} bytes: ${SETTINGS_BYTES_MAX} are allowed.`,
        hint: 'RESET settings that are not needed any more.',
      })
    }
    if (this.account === undefined) return
    const layers = new Set<Layer>([touched])
    for (const { session, local } of [now, ...before]) layers.add(session).add(local)
    let all = 0
    for (const layer of layers) all += this.bytesOf(layer)
    this.account.set(all)
  }

  private bytesOf(layer: Layer): number {
    if (layer.size === 0) return 0
    let bytes = this.known.get(layer)
    if (bytes !== undefined) return bytes
    bytes = 0
    for (const [name, { value }] of layer) bytes += ENTRY_BYTES + name.length + COPIES * (value?.length ?? 0)
    this.known.set(layer, bytes)
    return bytes
  }
}
