import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Line of postmaster.pid with the key and the number of the server's segment of System V shared memory. */
const LINE = 6

/** A server that was killed leaves its segment, which only its postmaster.pid tells of. */
export function removeSegment(data: string): void {
  const file = join(data, 'postmaster.pid')
  if (!existsSync(file)) return
  const [, id] = readFileSync(file, 'utf8').split('\n')[LINE]?.trim().split(/\s+/) ?? []
  if (id !== undefined) spawnSync('ipcrm', ['-m', id])
}
