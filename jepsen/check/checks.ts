import { bank } from './bank.ts'
import { counter } from './counter.ts'
import { crashedClients } from './crashed-clients.ts'
import { ddl } from './ddl.ts'
import { declaring } from './declaring.ts'
import { foreignKeys } from './foreign-keys.ts'
import { listAppend } from './list-append/list-append.ts'
import { longFork } from './long-fork.ts'
import { monotonic } from './monotonic.ts'
import { readYourWrites } from './read-your-writes.ts'
import { register } from './register/register.ts'
import { rwRegister } from './rw-register/rw-register.ts'
import { sequential } from './sequential.ts'
import { set } from './set.ts'
import { uniqueIds } from './unique-ids.ts'
import type { Check } from './verdict.ts'
import { writeSkew } from './write-skew.ts'

/** The checkers, by the names of the workloads. */
export const CHECKS = {
  'list-append': listAppend,
  'rw-register': rwRegister,
  bank,
  'long-fork': longFork,
  'write-skew': writeSkew,
  register,
  set,
  monotonic,
  sequential,
  'read-your-writes': readYourWrites,
  counter,
  'unique-ids': uniqueIds,
  'foreign-keys': foreignKeys,
  ddl,
  declaring,
  'crashed-clients': crashedClients,
} as const satisfies Readonly<Record<string, Check>>

export type CheckName = keyof typeof CHECKS
