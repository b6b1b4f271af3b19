import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'

/** Where Debian's postgresql-15 has its programs and modules. */
export const postgres15 = { bin: '/usr/lib/postgresql/15/bin', lib: '/usr/lib/postgresql/15/lib' }

export interface SuiteSources {
  /** `src/test/regress` of Postgres: sql, expected, data. */
  readonly regress: string
  /** What the tests load: regress.so, and Debian's own autoinc.so and refint.so beside it. */
  readonly modules: string
}

/** Postgres' regression suite as Debian has it, and the library that its tests load; made once in `dir`. */
export function prepareSources(dir: string): SuiteSources {
  if (!existsSync(join(postgres15.bin, 'postgres'))) {
    throw new Error('no Postgres 15 here: apt-get install postgresql-15')
  }
  mkdirSync(dir, { recursive: true })
  // The servers run as somebody else and read data files here.
  chmodSync(dir, 0o755)
  const regress = join(dir, 'src', 'src', 'test', 'regress')
  if (!existsSync(join(regress, 'parallel_schedule'))) extractSuite(dir)
  const modules = join(dir, 'modules')
  if (!existsSync(join(modules, 'regress.so'))) buildModules(dir, regress, modules)
  return { regress, modules }
}

function extractSuite(dir: string): void {
  const config = privateApt(dir)
  run(dir, 'apt-get', [...config, '-qq', 'update'])
  run(dir, 'apt-get', [...config, '-qq', 'source', '--download-only', 'postgresql-15'])
  const archive = readdirSync(dir).find((name) => /^postgresql-15_.*\.orig\.tar\./.test(name))
  if (archive === undefined) throw new Error(`apt-get source left no archive in ${dir}`)
  mkdirSync(join(dir, 'src'), { recursive: true })
  const members = ['*/src/test/regress']
  run(dir, 'tar', ['-xf', archive, '-C', 'src', '--strip-components=1', '--wildcards', ...members])
}

/** Sources of bookworm's main, whatever the machine's own lists say, and without touching them. */
function privateApt(dir: string): string[] {
  const apt = join(dir, 'apt')
  for (const part of ['lists/partial', 'archives/partial', 'parts']) {
    mkdirSync(join(apt, part), { recursive: true })
  }
  writeFileSync(join(apt, 'sources.list'), 'deb-src http://deb.debian.org/debian bookworm main\n')
  const options = {
    'Dir::Etc::sourcelist': join(apt, 'sources.list'),
    'Dir::Etc::sourceparts': join(apt, 'parts'),
    'Dir::State::lists': join(apt, 'lists'),
    'Dir::Cache::archives': join(apt, 'archives'),
    'APT::Sandbox::User': 'root',
  }
  return Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`])
}

/** Debian has no package with regress.so: it is compiled here, with the headers of the very version that is installed. */
function buildModules(dir: string, regress: string, modules: string): void {
  const headers = join(dir, 'headers')
  mkdirSync(headers, { recursive: true })
  const [, version] = run(dir, 'dpkg-query', ['-W', 'postgresql-15']).trim().split('\t')
  const wanted = `postgresql-server-dev-15=${version}`
  run(headers, 'apt-get', ['-qq', '-o', 'APT::Sandbox::User=root', 'download', wanted])
  const packages = readdirSync(headers).filter((name) => name.endsWith('.deb'))
  for (const name of packages) run(headers, 'dpkg', ['-x', name, 'unpacked'])
  mkdirSync(modules, { recursive: true })
  for (const name of ['autoinc.so', 'refint.so']) {
    if (!existsSync(join(modules, name))) symlinkSync(join(postgres15.lib, name), join(modules, name))
  }
  const server = join(headers, 'unpacked', 'usr', 'include', 'postgresql', '15', 'server')
  const include = ['-I', server, '-I', '/usr/include/postgresql']
  const output = ['-o', join(modules, 'regress.so')]
  run(dir, 'gcc', ['-shared', '-fPIC', '-O1', '-w', ...include, ...output, join(regress, 'regress.c')])
}

function run(cwd: string, command: string, args: readonly string[]): string {
  const { status, error, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8' })
  if (status === 0) return stdout
  const shown = [command, ...args.filter((arg) => !arg.includes('::') && arg !== '-o')]
  throw new Error(`${basename(shown[0]!)} ${shown.slice(1).join(' ')}: ${error?.message ?? stderr.trim()}`)
}
