// npm run test:clients: clients of all kinds against one Weft and one plain Postgres; docs/clients.md gets their table.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type Client, clients } from './clients.ts'
import { install } from './install.ts'
import { type Result, room, runClient } from './run.ts'
import { startClientServers } from './servers.ts'
import { marked, type Results, report, withTable } from './table.ts'

const usage = `usage: npm run test:clients -- [--write] [--verbose] [--no-install] [NAME…]
  NAME           only these (${clients.map(({ name }) => name).join(', ')})
  --write        write what came out into test/clients/results.json and docs/clients.md
  --verbose      print what each said of each step
  --no-install   leave out those of which something is not installed, and say so`

const print = (line: string): void => void process.stdout.write(`${line}\n`)

function read(): { chosen: readonly Client[]; write: boolean; verbose: boolean; mayInstall: boolean } {
  const { values, positionals } = parseArgs({
    options: {
      write: { type: 'boolean', default: false },
      verbose: { type: 'boolean', default: false },
      'no-install': { type: 'boolean', default: false },
    },
    allowPositionals: true,
  })
  const unknown = positionals.filter((name) => !clients.some((client) => client.name === name))
  if (unknown.length > 0) throw new Error(`no such client: ${unknown.join(', ')}\n${usage}`)
  const chosen = clients.filter(({ name }) => positionals.length === 0 || positionals.includes(name))
  return { chosen, write: values.write, verbose: values.verbose, mayInstall: !values['no-install'] }
}

async function main(): Promise<void> {
  const { chosen, write, verbose, mayInstall } = read()
  const { ready, absent } = install(chosen, mayInstall, print)
  for (const { client, what } of absent) print(`${client.name.padEnd(16)} not run: ${what} is not installed`)
  const servers = await startClientServers()
  const results: Result[] = []
  try {
    for (const client of ready) {
      const startedMs = performance.now()
      const result = await runClient(client, servers, verbose ? print : undefined)
      results.push(result)
      for (const line of report(result, performance.now() - startedMs)) print(line)
    }
  } finally {
    await servers.stop()
  }
  if (write) save(results)
  const failed = results.filter((result) => marked(result).some(({ unexpected }) => unexpected))
  print(`${results.length - failed.length} passed, ${failed.length} failed`)
  process.exitCode = failed.length === 0 && absent.length === 0 ? 0 : 1
}

function save(results: readonly Result[]): void {
  const file = join(room, 'results.json')
  const before = JSON.parse(readFileSync(file, 'utf8')) as Results
  const ran = Object.fromEntries(results.map(({ name, ...result }) => [name, result]))
  const all: Results = { ...before, ...ran }
  writeFileSync(file, `${JSON.stringify(all, undefined, 2)}\n`)
  const page = join(process.cwd(), 'docs/clients.md')
  writeFileSync(page, withTable(readFileSync(page, 'utf8'), all))
}

try {
  await main()
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`)
  process.exitCode = 2
}
