import type { Command } from 'commander'
import type { AuditLine, Finding } from '../admin/api/schemas.ts'
import { type ApiFlags, ask, asking, print } from './api.ts'
import { integer } from './arguments.ts'
import { table } from './print.ts'

/** So that a script can tell that something was found from that nobody could be asked (1). */
const FOUND = 2

export function doctorCommand(): Command {
  return asking(
    'doctor',
    'look for what is wrong, or will be, on all servers; exits with 2 when it finds an error',
  ).action(async (flags: ApiFlags) => {
    const findings = await ask<Finding[]>(flags, '/api/doctor')
    print(flags, findings, tell)
    if (findings.some(({ severity }) => severity === 'error')) process.exitCode = FOUND
  })
}

function tell(findings: readonly Finding[]): string {
  if (findings.length === 0) return 'nothing found'
  return findings
    .map(
      ({ severity, about, found, todo }) =>
        `${severity.padEnd(8)}${about}: ${found}\n${' '.repeat(8)}${todo}`,
    )
    .join('\n')
}

export function auditCommand(): Command {
  return asking('audit', 'the last changes made through the admin API')
    .option('--limit <n>', 'so many', integer(1, 1000), 100)
    .action(async (flags: ApiFlags & { readonly limit: number }) => {
      const lines = await ask<AuditLine[]>(flags, `/api/audit?limit=${flags.limit}`)
      print(flags, lines, (all) => (all.length === 0 ? 'nothing was changed' : table(all)))
    })
}
