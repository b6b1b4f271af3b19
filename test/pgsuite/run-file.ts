import { spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import type { SuiteSources } from './sources.ts'

export interface Target {
  readonly port: number
  readonly database: string
  /** Where tests write files, and where outputs go. */
  readonly build: string
  readonly results: string
}

/** Runs one file as pg_regress does; false when it had to be ended. */
export function runFile(
  name: string,
  sources: SuiteSources,
  target: Target,
  timeoutMs: number,
): Promise<boolean> {
  const input = openSync(join(sources.regress, 'sql', `${name}.sql`), 'r')
  const output = openSync(join(target.results, `${name}.out`), 'w')
  const args = ['-X', '-a', '-q', '-d', target.database]
  const variables = ['-v', 'HIDE_TABLEAM=on', '-v', 'HIDE_TOAST_COMPRESSION=on']
  const child = spawn('psql', [...args, ...variables], {
    cwd: target.build,
    env: psqlEnv(name, sources, target),
    stdio: [input, output, output],
  })
  closeSync(input)
  closeSync(output)
  return new Promise((done, failed) => {
    let inTime = true
    const timer = setTimeout(() => {
      inTime = false
      child.kill('SIGKILL')
    }, timeoutMs)
    child.on('error', failed)
    child.on('close', () => {
      clearTimeout(timer)
      done(inTime)
    })
  })
}

/** What pg_regress sets, and nothing that the caller's shell has for libpq. */
function psqlEnv(name: string, sources: SuiteSources, target: Target): NodeJS.ProcessEnv {
  return {
    PATH: process.env.PATH,
    HOME: target.build,
    PGHOST: '127.0.0.1',
    PGPORT: String(target.port),
    PGUSER: 'postgres',
    PGAPPNAME: `pg_regress/${name}`,
    PGTZ: 'America/Los_Angeles',
    PGDATESTYLE: 'Postgres, MDY',
    PGOPTIONS: '-c intervalstyle=postgres_verbose',
    LC_MESSAGES: 'C',
    PG_ABS_SRCDIR: sources.regress,
    PG_ABS_BUILDDIR: target.build,
    PG_LIBDIR: sources.modules,
    PG_DLSUFFIX: '.so',
  }
}
