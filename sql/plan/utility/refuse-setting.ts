import { PgError } from '../../../errors/pg-error.ts'
import { encodingName } from '../../encoding-names.ts'
import { gatheredSize, MAX_GATHERED } from './gathered-size.ts'

/**
 * The error for a setting's value that Weft cannot carry, whichever way it is set; undefined for every other, valid or
 * not. The name is in lower case.
 */
export function refuseSetting(name: string, value: string): PgError | undefined {
  if (name === 'weft.consistent_reads' && !isOn(value) && !isOff(value)) {
    return new PgError({ code: '22023', message: `parameter "${name}" requires a Boolean value` })
  }
  if (name === MAX_GATHERED && gatheredSize(value) === undefined) {
    const hint = 'Say a size of 256MB at most, as in 64MB.'
    return new PgError({ code: '22023', message: `invalid value for parameter "${name}": "${value}"`, hint })
  }
  if (name !== 'client_encoding') return undefined
  if (encodingName(value) !== NO_CONVERSION) return undefined
  return new PgError({
    code: '0A000',
    message: `invalid value for parameter "${name}": "${value}"`,
    detail: `Conversion between ${NO_CONVERSION} and UTF8 is not supported.`,
  })
}

/** Postgres has none either. */
const NO_CONVERSION = 'MULE_INTERNAL'

/** Prefixes count, as in Postgres' parse_bool. */
export function isOn(value: string): boolean {
  return /^(on|1|t|tr|tru|true|y|ye|yes)$/i.test(value.trim())
}

export function isOff(value: string): boolean {
  return /^(of|off|0|f|fa|fal|fals|false|n|no)$/i.test(value.trim())
}
