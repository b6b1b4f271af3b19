import { isOff } from '../../sql/plan/utility/refuse-setting.ts'

/** Name of the setting that gives up consistent reads; a user's choice only. */
export const CONSISTENT_READS = 'weft.consistent_reads'

export interface SettingsInForce {
  get(name: string): string | undefined
}

/** Whether reads are to see one state of all shards, and never an older one than before. */
export function readsConsistently(settings: SettingsInForce): boolean {
  const value = settings.get(CONSISTENT_READS)
  return value === undefined || !isOff(value)
}
