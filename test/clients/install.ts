/** Installs what the chosen clients need: Debian's packages, and packages of npm into this folder. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Client, languageOf } from './clients.ts'
import { room } from './run.ts'

export interface Installed {
  readonly ready: readonly Client[]
  readonly absent: readonly { readonly client: Client; readonly what: string }[]
}

export function install(
  chosen: readonly Client[],
  mayInstall: boolean,
  print: (line: string) => void,
): Installed {
  const wanted = [...new Set(chosen.flatMap(packagesOf))].filter((name) => !isInstalled(name))
  if (mayInstall && wanted.length > 0 && process.getuid?.() === 0) {
    print(`installing ${wanted.join(', ')}`)
    apt('update')
    apt('install', '-y', '--no-install-recommends', ...wanted)
  }
  const needsNpm = chosen.some((client) => client.npm)
  if (mayInstall && needsNpm && !hasModules()) {
    print('installing the packages of test/clients/package-lock.json')
    spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: room, stdio: 'inherit' })
  }
  const missing = chosen.map((client) => ({ client, what: missingOf(client) }))
  return {
    ready: missing.flatMap(({ client, what }) => (what === '' ? [client] : [])),
    absent: missing.filter(({ what }) => what !== ''),
  }
}

const packagesOf = (client: Client): readonly string[] => [...languageOf(client).apt, ...client.apt]

function missingOf(client: Client): string {
  const packages = packagesOf(client).filter((name) => !isInstalled(name))
  const modules = client.npm && !hasModules() ? ['test/clients/node_modules'] : []
  return [...packages, ...modules].join(', ')
}

const hasModules = (): boolean => existsSync(join(room, 'node_modules/.package-lock.json'))

/** Also when another package provides it, or the programs came some other way. */
function isInstalled(name: string): boolean {
  const commands: Readonly<Record<string, string>> = {
    'postgresql-client': 'psql',
    postgresql: 'pgbench',
    'default-jdk-headless': 'javac',
    perl: 'perl',
  }
  const command = commands[name]
  if (command !== undefined) return spawnSync('which', [command]).status === 0
  const { stdout } = spawnSync('dpkg-query', ['-W', '-f', `\${db:Status-Status}`, name], { encoding: 'utf8' })
  return stdout === 'installed'
}

function apt(...args: string[]): void {
  spawnSync('apt-get', ['-qq', '-o', 'Dpkg::Use-Pty=0', ...args], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  })
}
