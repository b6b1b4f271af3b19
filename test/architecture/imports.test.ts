import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { lineAt, type Node, readSources, type Source, walk } from './sources.ts'

/** Who may import whom, by root directory. Tests may import anything. */
const roots: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  protocol: ['errors'],
  sql: ['errors'],
  txn: ['errors', 'protocol'],
  cluster: ['errors', 'sql'],
  coordinator: ['errors', 'protocol', 'sql', 'txn', 'cluster', 'admin'],
  'shard-agent': ['errors', 'protocol', 'sql', 'txn', 'cluster', 'admin'],
  admin: ['errors'],
  client: [],
  // Types of the API alone: it runs in browsers.
  console: ['admin'],
  advise: ['errors', 'sql', 'cluster', 'coordinator'],
  embedded: ['errors', 'protocol', 'sql', 'txn', 'cluster', 'coordinator', 'shard-agent', 'admin'],
  cli: ['errors', 'protocol', 'txn', 'cluster', 'coordinator', 'shard-agent', 'admin', 'embedded', 'advise'],
  // Microbenchmarks reach for the function they measure.
  bench: [
    'errors',
    'protocol',
    'sql',
    'txn',
    'cluster',
    'coordinator',
    'shard-agent',
    'embedded',
    'admin',
    'client',
  ],
  jepsen: ['client', 'embedded', 'errors', 'txn'],
}

/** Inside the coordinator: a client's message goes down this list, and no layer knows one above it. */
const coordinatorLayers = [
  'listener',
  'session',
  'execute',
  'cuts',
  'commit',
  'catalog',
  'settings',
  'links',
  'memory',
  'tracing',
  'statistics',
  'events',
]

/** No waiting, no input or output, no clock, no chance: the same arguments give the same answer. */
const pure = [
  /^sql\//,
  /^protocol\/wire\//,
  /^txn\/(gid|decision|recovery-rules)\.ts$/,
  /-machine\.ts$/,
  /^client\/(sql\/.+|retry\/retry|pool\/choose-node)\.ts$/,
  /^jepsen\/(history|check|report)\//,
  /^console\/model\//,
]
const pureNodeModules = new Set(['node:buffer', 'node:crypto'])
const impureNames = new Set([
  'process',
  'console',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'fetch',
  'performance',
  'queueMicrotask',
])

const sources = readSources()
const production = sources.filter((source) => !source.isTest)
const rootOf = (path: string): string => (path.includes('/') ? path.slice(0, path.indexOf('/')) : '')

test('imports: root directories: only what the table allows', () => {
  const wrong = production.flatMap(({ path, imports }) => {
    const allowed = roots[rootOf(path)]
    if (allowed === undefined) return []
    return imports
      .filter(({ ours, target }) => ours && rootOf(target) !== rootOf(path) && rootOf(target) !== '')
      .filter(({ target }) => !allowed.includes(rootOf(target)))
      .map(({ target }) => `${path} imports ${target}`)
  })
  expect(wrong).toEqual([])
})

test('imports: every root directory is in the table', () => {
  const unknown = production.map(({ path }) => rootOf(path)).filter((root) => root !== '' && !(root in roots))
  expect([...new Set(unknown)]).toEqual([])
})

test('imports: production code takes nothing from tests', () => {
  const wrong = production.flatMap(({ path, imports }) =>
    imports
      .filter(({ target }) => /^test\/|\.test\.ts$/.test(target))
      .map(({ target }) => `${path} imports ${target}`),
  )
  expect(wrong).toEqual([])
})

test('imports: coordinator: no layer imports one above it', () => {
  const layer = (path: string): number => coordinatorLayers.indexOf(path.split('/')[1] ?? '')
  const wrong = production.flatMap(({ path, imports }) => {
    if (rootOf(path) !== 'coordinator' || layer(path) < 0) return []
    return imports
      .filter(({ target }) => rootOf(target) === 'coordinator' && layer(target) < layer(path))
      .map(({ target }) => `${path} imports ${target}`)
  })
  expect(wrong).toEqual([])
})

test('imports: only a main.ts and the composition of the dev cluster join coordinator and agent', () => {
  const has = (source: Source, root: string): boolean =>
    source.imports.some(({ target }) => rootOf(target) === root)
  const both = production.filter((source) => has(source, 'coordinator') && has(source, 'shard-agent'))
  expect(both.map(({ path }) => path).filter((path) => !/^(embedded|cli)\//.test(path))).toEqual([])
})

test('imports: of ours: the file with its ending, never a barrel', () => {
  const wrong = sources.flatMap(({ path, imports }) =>
    imports
      .filter(
        ({ ours, target }) =>
          ours && (!/\.(ts|tsx|css|js|json|sql)$/.test(target) || /(^|\/)index\.ts$/.test(target)),
      )
      .filter(({ target }) => target !== 'client/index.ts')
      .map(({ target }) => `${path} imports ${target}`),
  )
  expect(wrong).toEqual([])
})

test('imports: packages that production code uses: dependencies, not development dependencies', () => {
  const { dependencies, peerDependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as {
    dependencies: object
    peerDependencies: object
  }
  const isPeer = (path: string, name: string): boolean =>
    path === `client/${name}.ts` && name in peerDependencies
  const wrong = production
    // What the console is made of is bundled into it.
    .filter(({ path }) => !/^(bench|console)\/|\.config\.ts$/.test(path))
    .flatMap(({ path, imports }) =>
      imports
        .filter(({ ours, target, typeOnly }) => !ours && !typeOnly && !target.startsWith('node:'))
        .map(({ target }) => target.match(/^(@[^/]+\/)?[^/]+/)?.[0] ?? target)
        .filter((name) => !(name in dependencies) && !isPeer(path, name))
        .map((name) => `${path} imports ${name}`),
    )
  expect(wrong).toEqual([])
})

test('imports: the console: of the servers nothing but types, as it runs in browsers', () => {
  const wrong = production
    .filter(({ path }) => rootOf(path) === 'console')
    .flatMap(({ path, imports }) =>
      imports
        .filter(({ ours, target, typeOnly }) => ours && !typeOnly && rootOf(target) !== 'console')
        .map(({ target }) => `${path} imports ${target}`),
    )
  expect(wrong).toEqual([])
})

test('imports: pure code: no input, output, clock, chance or waiting', () => {
  const wrong = production
    .filter(({ path }) => pure.some((pattern) => pattern.test(path)))
    .flatMap((source) => [...impureImports(source), ...impureCode(source)])
  expect(wrong).toEqual([])
})

function impureImports({ path, imports }: Source): string[] {
  return imports
    .filter(({ target, typeOnly }) => target.startsWith('node:') && !typeOnly && !pureNodeModules.has(target))
    .map(({ target }) => `${path} imports ${target}`)
}

function impureCode(source: Source): string[] {
  const found: string[] = []
  walk(source.ast, (node) => {
    const what = impurity(node)
    if (what !== undefined) found.push(`${source.path}:${lineAt(source, node.start)} uses ${what}`)
  })
  return found
}

function impurity(node: Node): string | undefined {
  if (node.type === 'AwaitExpression') return 'await'
  if (
    node.type === 'NewExpression' &&
    nameOf(node.callee) === 'Date' &&
    (node.arguments as Node[]).length === 0
  ) {
    return 'new Date()'
  }
  if (node.type === 'CallExpression' && impureNames.has(nameOf(node.callee) ?? '')) return nameOf(node.callee)
  if (node.type !== 'MemberExpression') return undefined
  const object = nameOf(node.object) ?? ''
  const member = `${object}.${nameOf(node.property)}`
  if (['Date.now', 'Math.random', 'crypto.randomUUID', 'crypto.randomBytes'].includes(member)) return member
  return impureNames.has(object) ? object : undefined
}

function nameOf(node: unknown): string | undefined {
  const { type, name } = node as { type?: string; name?: string }
  return type === 'Identifier' ? name : undefined
}
