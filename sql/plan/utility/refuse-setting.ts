import { PgError } from '../../../errors/pg-error.ts'
import { encodingName } from '../../encoding-names.ts'
import { PUSHDOWN, refuseSeveral } from './several-settings.ts'

/**
 * The error for a setting's value that Weft cannot carry, whichever way it is set; undefined for every other, valid or
 * not. The name is in lower case.
 */
export function refuseSetting(name: string, value: string): PgError | undefined {
  if (BOOLEANS.has(name) && !isOn(value) && !isOff(value)) {
    return new PgError({ code: '22023', message: `parameter "${name}" requires a Boolean value` })
  }
  if (name !== 'client_encoding') return refuseSeveral(name, value)
  if (encodingName(value) !== NO_CONVERSION) return undefined
  return new PgError({
    code: '0A000',
    message: `invalid value for parameter "${name}": "${value}"`,
    detail: `Conversion between ${NO_CONVERSION} and UTF8 is not supported.`,
  })
}

/** Weft's own. */
const BOOLEANS: ReadonlySet<string> = new Set(['weft.consistent_reads', PUSHDOWN])

/** Postgres has none either. */
const NO_CONVERSION = 'MULE_INTERNAL'

/** Prefixes count, as in Postgres' parse_bool. */
export function isOn(value: string): boolean {
  return /^(on|1|t|tr|tru|true|y|ye|yes)$/i.test(value.trim())
}

export function isOff(value: string): boolean {
  return /^(of|off|0|f|fa|fal|fals|false|n|no)$/i.test(value.trim())
}
