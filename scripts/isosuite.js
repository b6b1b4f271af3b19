// npm run isosuite -- --source DIR --server HOST:PORT [--database NAME] [--out DIR] [spec…]: Postgres' own isolation specs,
// straight at a server that runs already: `weft dev --shard …` on servers of the sources' version, or a plain one to compare
// with. DIR: Postgres' sources; one spec wants the database to be isolation_regression. Prints "N of M". Not in CI.
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

const TESTER = 'lib/pgxs/src/test/isolation/isolationtester'
const VERSIONS = '/usr/lib/postgresql'
/** Longer than what the specs themselves wait for. */
const SECONDS_MAX = 120

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    source: { type: 'string' },
    server: { type: 'string', default: '127.0.0.1:6432' },
    database: { type: 'string', default: 'postgres' },
    out: { type: 'string', default: 'isosuite.out' },
  },
})
const tester = (existsSync(VERSIONS) ? readdirSync(VERSIONS) : [])
  .map((version) => join(VERSIONS, version, TESTER))
  .find(existsSync)
const specs = join(values.source ?? '', 'src', 'test', 'isolation')

if (values.source === undefined || !existsSync(specs)) fail('--source takes a directory of Postgres sources')
if (tester === undefined) fail('no isolationtester: apt-get install postgresql-client')
else await runAll()

function fail(why) {
  console.error(`isosuite: ${why}`)
  process.exit(1)
}

async function runAll() {
  mkdirSync(values.out, { recursive: true })
  const names = positionals.length > 0 ? positionals : scheduled()
  let passed = 0
  for (const name of names) {
    const isSame = await passes(name)
    if (isSame) passed++
    console.log(`${isSame ? 'ok  ' : 'FAIL'} ${name}`)
  }
  console.log(`${passed} of ${names.length}`)
}

function scheduled() {
  const schedule = readFileSync(join(specs, 'isolation_schedule'), 'utf8')
  return [...schedule.matchAll(/^test:(.*)$/gm)].flatMap((line) => line[1].trim().split(/\s+/))
}

async function passes(name) {
  const found = await run(name, readFileSync(join(specs, 'specs', `${name}.spec`), 'utf8'))
  writeFileSync(join(values.out, `${name}.out`), found)
  return expected(name).some((text) => text === found)
}

/** What Postgres may say: `name.out`, and variants with a number. */
function expected(name) {
  const directory = join(specs, 'expected')
  return readdirSync(directory)
    .filter((file) => file === `${name}.out` || new RegExp(`^${name}_\\d\\.out$`).test(file))
    .map((file) => readFileSync(join(directory, file), 'utf8'))
}

/** The environment is that of pg_isolation_regress. */
function run(name, spec) {
  const [host, port] = values.server.split(':')
  const connection = `host=${host} port=${port} user=postgres dbname=${values.database} sslmode=disable gssencmode=disable`
  const env = { ...process.env, PGISOLATIONTIMEOUT: '20', PGTZ: 'PST8PDT', PGDATESTYLE: 'Postgres, MDY' }
  env.PGOPTIONS = '-c intervalstyle=postgres_verbose'
  env.PGAPPNAME = `isolation/${name}`
  const child = spawn(tester, [connection], { env, stdio: 'pipe' })
  const tooLong = setTimeout(() => child.kill('SIGKILL'), SECONDS_MAX * 1000)
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (said += chunk))
  child.stdin.end(spec)
  return new Promise((resolve) =>
    child.on('close', () => {
      clearTimeout(tooLong)
      resolve(said)
    }),
  )
}
