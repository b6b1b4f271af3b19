// Drivers' own suites against a plain Postgres and against Weft, one after the other; prints where they differ.
//   node scripts/driver-suites.js DIR PLAIN_PORT WEFT_PORT
// Both trust postgres@127.0.0.1 and have a database "postgres", empty at best. On Debian, with golang-go, python3-pytest,
// python3-sqlalchemy, python3-psycopg2 and python3-asyncpg; the Go suites are in packages that are only unpacked, in DIR.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const GO_PACKAGES = `lib-pq jackc-pgx-v4 jackc-pgconn jackc-pgtype jackc-pgproto3-v2 jackc-pgio jackc-chunkreader-v2
  jackc-pgpassfile jackc-pgservicefile jackc-puddle jackc-pgmock jackc-fake stretchr-testify davecgh-go-spew
  pmezard-go-difflib shopspring-decimal gofrs-uuid cockroachdb-apd pkg-errors masterminds-semver rs-zerolog sirupsen-logrus`
const OTHER_PACKAGES =
  'golang-go.uber-zap-dev golang-gopkg-yaml.v3-dev golang-golang-x-crypto-dev golang-golang-x-text-dev'
const GO_SUITES = ['lib/pq', 'jackc/pgconn', 'jackc/pgx/v4', 'jackc/pgx/v4/pgxpool', 'jackc/pgx/v4/stdlib']
const DIALECTS = ['psycopg2', 'asyncpg']
const PYTEST = `[tool:pytest]
addopts = --tb native -q -rA -p no:cacheprovider -p no:asyncio
[sqla_testing]
requirement_cls = sqlalchemy.testing.requirements:SuiteRequirements
profile_file = profiles.txt
`
const CONFTEST = `import pytest
pytest.register_assert_rewrite("sqlalchemy.testing.assertions")
from sqlalchemy.testing.plugin.pytestplugin import *
`

const [dir, ...ports] = process.argv.slice(2)
if (dir === undefined || ports.length !== 2) {
  console.error('usage: node scripts/driver-suites.js DIR PLAIN_PORT WEFT_PORT')
  process.exit(1)
}
const root = resolve(dir)
const gopath = join(root, 'unpacked/usr/share/gocode')

/** What it printed, whatever became of it. */
function run(cwd, command, args, env = {}) {
  const { error, stdout } = spawnSync(command, args, {
    cwd,
    env: { ...process.env, GO111MODULE: 'off', GOPATH: gopath, ...env },
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  if (error !== undefined) throw error
  return stdout
}

function prepare() {
  mkdirSync(join(root, 'debs'), { recursive: true })
  const packages = GO_PACKAGES.split(/\s+/).map((name) => `golang-github-${name}-dev`)
  run(join(root, 'debs'), 'apt-get', ['download', ...packages, ...OTHER_PACKAGES.split(' ')])
  for (const deb of readdirSync(join(root, 'debs'))) {
    run(root, 'dpkg-deb', ['-x', join('debs', deb), 'unpacked'])
  }
  writeFileSync(join(root, 'setup.cfg'), PYTEST)
  writeFileSync(join(root, 'conftest.py'), CONFTEST)
  writeFileSync(join(root, 'test_suite.py'), 'from sqlalchemy.testing.suite import *\n')
}

function runGo(suite, port) {
  const url = `host=127.0.0.1 port=${port} user=postgres database=postgres`
  const env = {
    PGHOST: '127.0.0.1',
    PGPORT: port,
    PGUSER: 'postgres',
    PGDATABASE: 'postgres',
    PGSSLMODE: 'disable',
  }
  const pgx = { PGX_TEST_DATABASE: url, PGX_TEST_CONN_STRING: url, PGX_TEST_TCP_CONN_STRING: url }
  const cwd = join(gopath, 'src/github.com', suite)
  const lines = run(cwd, 'go', ['test', '-vet=off', '-v', '-count=1', '.'], { ...env, ...pgx }).split('\n')
  return lines.filter((line) => line.includes('--- ')).map((line) => line.trim().replace(/ \([\d.]+s\)$/, ''))
}

function runDialect(driver, port) {
  const uri = `postgresql+${driver}://postgres@127.0.0.1:${port}/postgres`
  const schemas = 'CREATE SCHEMA IF NOT EXISTS test_schema'
  run(root, 'psql', ['-q', '-h', '127.0.0.1', '-p', port, '-U', 'postgres', '-d', 'postgres', '-c', schemas])
  const lines = run(root, '/usr/bin/python3', ['-m', 'pytest', '--dburi', uri, 'test_suite.py']).split('\n')
  return lines.filter((line) => /^(PASSED|FAILED|ERROR) /.test(line)).map((line) => line.replace(/ - .*/, ''))
}

function compare(name, suite) {
  const [plain, weft] = ports.map((port) => suite(port))
  const passed = (results) => results.filter((line) => /PASS/.test(line)).length
  console.log(`${name}: passed on plain ${passed(plain)}, on Weft ${passed(weft)}`)
  const differ = [
    ...plain.filter((line) => !weft.includes(line)),
    ...weft.filter((line) => !plain.includes(line)),
  ]
  for (const line of differ) console.log(`  ${plain.includes(line) ? 'plain' : 'Weft '} ${line}`)
}

prepare()
for (const suite of GO_SUITES) compare(suite, (port) => runGo(suite, port))
for (const driver of DIALECTS)
  compare(`SQLAlchemy's dialect suite, ${driver}`, (port) => runDialect(driver, port))
