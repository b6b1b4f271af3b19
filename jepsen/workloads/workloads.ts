import { bankWorkload } from './bank.ts'
import { listAppendWorkload } from './list-append.ts'
import type { MakeWorkload } from './workload.ts'

const all: Readonly<Record<string, MakeWorkload>> = {
  'list-append': listAppendWorkload,
  bank: bankWorkload,
}

export const workloadNames: readonly string[] = Object.keys(all)

export function workloadNamed(name: string): MakeWorkload {
  const make = all[name]
  if (make === undefined) throw new Error(`no workload ${name}`)
  return make
}
