import { bind, execute, parse, SYNC } from '../../protocol/wire/frontend-messages.ts'

export { COPY_DONE, copyData, copyFail, SYNC } from '../../protocol/wire/frontend-messages.ts'

/** COPY by the extended protocol, as a driver sends it. */
export function extendedCopy(sql: string): Buffer {
  return Buffer.concat([parse('', sql), bind({}), execute(), SYNC])
}
