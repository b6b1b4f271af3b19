// npm test: installs what the tests drive Weft with (psql, isolationtester, pgbench, etcd, Chromium) where it can, runs
// Vitest, and ends with the slowest files and one line, "N passed, N failed". Arguments go to Vitest:
// npm test -- test/integration
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const tools = [
  { command: 'psql', package: 'postgresql-client' },
  { command: 'isolationtester', package: 'postgresql-client' },
  { command: 'pgbench', package: 'postgresql' },
  { command: 'etcd', package: 'etcd-server' },
  { command: 'chromium', package: 'chromium' },
]

installTools()
runVitest()

function installTools() {
  const missing = tools.filter((tool) => !isInstalled(tool.command))
  if (missing.length === 0) return
  const packages = [...new Set(missing.map((tool) => tool.package))]
  const install = `apt-get install -y ${packages.join(' ')}`
  if (process.getuid?.() === 0 && isOnPath('apt-get')) {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    const apt = (...args) =>
      spawnSync('apt-get', ['-qq', '-o', 'Dpkg::Use-Pty=0', ...args], {
        stdio: ['ignore', 'ignore', 'inherit'],
        env,
      })
    console.log(`installing ${packages.join(', ')} for the tests`)
    apt('update')
    apt('install', '-y', '--no-install-recommends', ...packages)
  }
  const absent = tools.filter((tool) => !isInstalled(tool.command)).map((tool) => tool.command)
  if (absent.length > 0) {
    console.log(`not installed: ${absent.join(', ')}; tests that need them are skipped (as root: ${install})`)
  }
}

function isInstalled(command) {
  return command === 'isolationtester' ? hasIsolationTester() : isOnPath(command)
}

/** Never on the PATH; where test/helpers/isolation-tester.ts looks for it too. */
function hasIsolationTester() {
  const versions = '/usr/lib/postgresql'
  const inside = 'lib/pgxs/src/test/isolation/isolationtester'
  return (
    existsSync(versions) &&
    readdirSync(versions).some((version) => existsSync(join(versions, version, inside)))
  )
}

function isOnPath(command) {
  return (process.env.PATH ?? '').split(delimiter).some((dir) => existsSync(join(dir, command)))
}

function runVitest() {
  const dir = mkdtempSync(join(tmpdir(), 'weft-test-report-'))
  const report = join(dir, 'report.json')
  const args = [
    'run',
    '--reporter=default',
    '--reporter=json',
    `--reporter=${join(root, 'scripts', 'slowest-files.js')}`,
    `--outputFile.json=${report}`,
    ...process.argv.slice(2),
  ]
  const vitest = join(root, 'node_modules', '.bin', 'vitest')
  const { status, error } = spawnSync(vitest, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
  if (error) console.error(`${error.message}; run npm ci first`)
  const { passed, failed } = count(report)
  rmSync(dir, { recursive: true, force: true })
  // An error outside any test (a crash, an unhandled rejection) is a failure too.
  const failures = failed === 0 && status !== 0 ? 1 : failed
  console.log(`${passed} passed, ${failures} failed`)
  process.exitCode = failures === 0 && passed > 0 ? 0 : 1
}

function count(report) {
  if (!existsSync(report)) return { passed: 0, failed: 1 }
  const { numPassedTests, numFailedTests, testResults } = JSON.parse(readFileSync(report, 'utf8'))
  // A test file that could not be loaded has no tests that could fail.
  const broken = testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0)
  return { passed: numPassedTests, failed: numFailedTests + broken.length }
}
