import { existsSync, readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { type Document, isNode, LineCounter, parseDocument, visit } from 'yaml'
import type { z } from 'zod'
import { SetupError } from '../errors/setup-error.ts'
import { type ClusterConfig, configSchema } from './config-schema.ts'

export type { Address, AuthRule, ClusterConfig, LogConfig, ShardConfig } from './config-schema.ts'

const example = 'docs/weft.example.yaml shows every setting.'

/**
 * Reads `weft.yaml`. Paths in it are relative to the file; `${NAME}` stands for an environment variable, or for what is in
 * the file that NAME_FILE names.
 */
export function loadConfig(path: string, env: NodeJS.ProcessEnv = process.env): ClusterConfig {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is no such file' : String(cause)
    throw new SetupError(`cannot read the configuration ${path}: ${why}`, example, { cause })
  }
  const config = parseConfig(text, path, env)
  return withFiles(config, dirname(resolve(path)), path)
}

/** The checked configuration in `text`; `file` is for messages. Files it names are not looked at. */
export function parseConfig(text: string, file: string, env: NodeJS.ProcessEnv = process.env): ClusterConfig {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines })
  const broken = document.errors[0]
  if (broken !== undefined) {
    const line = broken.linePos?.[0].line ?? 1
    throw new SetupError(`${file}:${line}: not YAML: ${broken.message.split('\n')[0]}`, example)
  }
  const at = (path: readonly PropertyKey[]): string => `${file}:${lineOf(document, lines, path)}`
  substitute(document, env, (offset, name) => {
    const line = lines.linePos(offset).line
    return new SetupError(
      `${file}:${line}: the environment variable ${name} is not set`,
      `Set it: export ${name}=…, or ${name}_FILE to a file that has it.`,
    )
  })
  const checked = configSchema.safeParse(document.toJS() ?? {})
  if (!checked.success) throw schemaError(checked.error.issues, at)
  checkShards(checked.data, at)
  return checked.data
}

function lineOf(document: Document, lines: LineCounter, path: readonly PropertyKey[]): number {
  // A missing setting has no place of its own: the nearest part of the file around it has.
  for (let length = path.length; length > 0; length--) {
    const node: unknown = document.getIn(path.slice(0, length), true)
    if (isNode(node) && node.range) return lines.linePos(node.range[0]).line
  }
  return 1
}

type MissingVariable = (offset: number, name: string) => SetupError

function substitute(document: Document, env: NodeJS.ProcessEnv, missing: MissingVariable): void {
  visit(document, {
    Scalar(key, node) {
      if (key === 'key' || typeof node.value !== 'string') return
      node.value = node.value.replaceAll(/\$\{(\w+)\}/g, (_, name: string) => {
        const value = env[name] ?? fromFile(name, env[`${name}_FILE`])
        if (value === undefined) throw missing(node.range?.[0] ?? 0, name)
        return value
      })
    },
  })
}

/** As containers are given secrets. */
function fromFile(name: string, path: string | undefined): string | undefined {
  if (path === undefined) return undefined
  try {
    return readFileSync(path, 'utf8').trimEnd()
  } catch (cause) {
    const why = (cause as Error).message
    throw new SetupError(`cannot read ${path}, which ${name}_FILE names: ${why}`, example, { cause })
  }
}

type At = (path: readonly PropertyKey[]) => string

function schemaError(issues: readonly z.core.$ZodIssue[], at: At): SetupError {
  const [first, ...more] = issues.map((issue) => {
    const unknown = issue.code === 'unrecognized_keys' ? issue.keys[0] : undefined
    const path = unknown === undefined ? issue.path : [...issue.path, unknown]
    const message = unknown === undefined ? lowerFirst(issue.message) : 'there is no such setting'
    return `${at(path)}: ${formatPath(path)}: ${message}`
  })
  const rest = more.map((line) => `\n  ${line}`).join('')
  return new SetupError(`${first}${rest}`, example)
}

function formatPath(path: readonly PropertyKey[]): string {
  const text = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('')
  return text.replace(/^\./, '') || 'the file'
}

function lowerFirst(text: string): string {
  return text.slice(0, 1).toLowerCase() + text.slice(1)
}

function checkShards(config: ClusterConfig, at: At): void {
  config.shards.forEach((shard, index) => {
    const refuse = (field: string, message: string): never => {
      const path = ['shards', index, field]
      throw new SetupError(`${at(path)}: ${formatPath(path)}: ${message}`, example)
    }
    if (shard.id !== index)
      refuse('id', `shards are numbered from 0 in order: write ${index}, not ${shard.id}`)
    const before = config.shards.slice(0, index)
    const { host, port } = shard.agent
    if (before.some((other) => other.agent.host === host && other.agent.port === port)) {
      refuse('agent', 'another shard has the same agent address: give each shard a port of its own')
    }
    if (before.some((other) => sameServer(other.postgres, shard.postgres))) {
      refuse('postgres', 'another shard is the same database: each shard needs a database of its own')
    }
  })
}

/** Whether two URLs name one database of one server, as far as the texts tell. */
export function sameServer(a: string, b: string): boolean {
  const place = (text: string): string => {
    const url = new URL(text)
    return [url.hostname, url.port || '5432', url.pathname, url.searchParams.get('host')].join(' ')
  }
  return place(a) === place(b)
}

/** Makes the file names absolute, and fails now rather than at the first connection when one is missing. */
function withFiles(config: ClusterConfig, base: string, file: string): ClusterConfig {
  const absolute = <T extends object>(where: string, names: T): T => {
    const entries = Object.entries(names).map(([key, name]) => {
      const path = resolve(base, String(name))
      if (!existsSync(path))
        throw new SetupError(`${file}: ${where}.${key}: there is no file ${path}`, example)
      return [key, path]
    })
    return Object.fromEntries(entries) as T
  }
  const { coordinator, log, muxTls, admin, ...rest } = config
  const etcdTls = log.kind === 'etcd' && log.tls !== undefined ? { tls: absolute('log.tls', log.tls) } : {}
  const tls = coordinator.tls === undefined ? {} : { tls: absolute('coordinator.tls', coordinator.tls) }
  return {
    ...rest,
    admin: admin.tls === undefined ? admin : { ...admin, tls: adminFiles(admin.tls, absolute) },
    coordinator: { ...coordinator, ...tls },
    log: { ...log, ...etcdTls },
    ...(muxTls === undefined ? {} : { muxTls: absolute('muxTls', muxTls) }),
  }
}

type AdminTls = NonNullable<ClusterConfig['admin']['tls']>

function adminFiles(
  { clients, ...files }: AdminTls,
  absolute: <T extends object>(where: string, names: T) => T,
): AdminTls {
  return { clients, ...absolute('admin.tls', files) }
}
