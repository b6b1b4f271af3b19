import { readFileSync } from 'node:fs'
import type { MuxTls } from '../protocol/transport/limits.ts'

/** The files that `muxTls` names. */
export function readMuxTls(files: {
  readonly ca: string
  readonly cert: string
  readonly key: string
}): MuxTls {
  return { ca: readFileSync(files.ca), cert: readFileSync(files.cert), key: readFileSync(files.key) }
}
