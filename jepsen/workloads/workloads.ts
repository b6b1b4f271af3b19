import { bankWorkload } from './bank.ts'
import { counterWorkload } from './counter.ts'
import { crashedClientsWorkload } from './crashed-clients.ts'
import { ddlWorkload } from './ddl.ts'
import { declaringWorkload } from './declaring.ts'
import { foreignKeysWorkload } from './foreign-keys.ts'
import { listAppendWorkload } from './list-append.ts'
import { longForkWorkload } from './long-fork.ts'
import { monotonicWorkload } from './monotonic.ts'
import { readYourWritesWorkload } from './read-your-writes.ts'
import { registerWorkload } from './register.ts'
import { rwRegisterWorkload } from './rw-register.ts'
import { sequentialWorkload } from './sequential.ts'
import { setWorkload } from './set.ts'
import { uniqueIdsWorkload } from './unique-ids.ts'
import type { MakeWorkload } from './workload.ts'
import { writeSkewWorkload } from './write-skew.ts'

const all: Readonly<Record<string, MakeWorkload>> = {
  'list-append': listAppendWorkload,
  'rw-register': rwRegisterWorkload,
  bank: bankWorkload,
  'long-fork': longForkWorkload,
  'write-skew': writeSkewWorkload,
  register: registerWorkload,
  set: setWorkload,
  monotonic: monotonicWorkload,
  sequential: sequentialWorkload,
  'read-your-writes': readYourWritesWorkload,
  counter: counterWorkload,
  'unique-ids': uniqueIdsWorkload,
  'foreign-keys': foreignKeysWorkload,
  ddl: ddlWorkload,
  declaring: declaringWorkload,
  'crashed-clients': crashedClientsWorkload,
}

export const workloadNames: readonly string[] = Object.keys(all)

export function workloadNamed(name: string): MakeWorkload {
  const make = all[name]
  if (make === undefined) throw new Error(`no workload ${name}`)
  return make
}
