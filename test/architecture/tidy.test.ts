import { expect, test } from 'vitest'
import { lineAt, type Node, readScripts, readSources, walk } from './sources.ts'

const fileLinesMax = 450
const functionLinesMax = 70
/** The formatter keeps code to 110; comments may be a word longer. */
const codeColumnsMax = 110
const columnsMax = 125

const sources = readSources()
const production = sources.filter((source) => !source.isTest)

/** Where a process, or a program that uses the library, begins. */
const entryPoints = [
  /^cli\/main\.ts$/,
  /^coordinator\/long-texts\/thread\.ts$/,
  /^client\/(index|kysely|drizzle|testing)\.ts$/,
  /^console\/main\.tsx$/,
  /^bench\/([^/]+|micro\/.+)\.ts$/,
  /^jepsen\/(main|judge)\.ts$/,
  /\.config\.ts$/,
]

/** Files that are one long table. */
const tables = [/tables\.ts$/]

test('tidy: files: all of them parse', () => {
  const broken = sources.filter((source) => source.broken !== undefined)
  expect(broken.map(({ path, broken: why }) => `${path}: ${why}`)).toEqual([])
})

test(`tidy: files: at most ${fileLinesMax} lines`, () => {
  const long = production
    .filter(({ path, lines }) => lines.length > fileLinesMax && !tables.some((table) => table.test(path)))
    .map(({ path, lines }) => `${path}: ${lines.length}`)
  expect(long).toEqual([])
})

test(`tidy: functions: at most ${functionLinesMax} lines`, () => {
  const long: string[] = []
  for (const source of production) {
    walk(source.ast, (node) => {
      if (!/^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(node.type)) return
      const first = lineAt(source, node.start)
      const count = lineAt(source, node.end) - first + 1
      if (count > functionLinesMax) long.push(`${source.path}:${first}: ${count} lines`)
    })
  }
  expect(long).toEqual([])
})

test(`tidy: lines: at most ${columnsMax} columns, but for text that cannot be broken`, () => {
  const wide = production.flatMap((source) => {
    const texts = textRanges(source.ast)
    let offset = 0
    return source.lines.flatMap((line, i) => {
      const edge = offset + codeColumnsMax - 1
      offset += line.length + 1
      const inText = texts.some(([start, end]) => start <= edge && edge < end)
      return line.length > columnsMax && !inText ? [`${source.path}:${i + 1}: ${line.length}`] : []
    })
  })
  const scripts = readScripts().flatMap(({ path, lines }) =>
    lines.flatMap((line, i) => (line.length > columnsMax ? [`${path}:${i + 1}: ${line.length}`] : [])),
  )
  expect([...wide, ...scripts]).toEqual([])
})

/** SQL, mostly. */
function textRanges(ast: Node): [number, number][] {
  const ranges: [number, number][] = []
  walk(ast, ({ type, start, end }) => {
    if (type === 'Literal' || type === 'TemplateLiteral') ranges.push([start, end])
  })
  return ranges
}

test('tidy: console: only where a person reads', () => {
  const wrong = production
    .filter(({ path }) => !/^(cli|bench|jepsen)\//.test(path))
    .flatMap(({ path, lines }) =>
      lines.flatMap((line, i) => (/\bconsole\./.test(line) ? [`${path}:${i + 1}`] : [])),
    )
  expect(wrong).toEqual([])
})

test('tidy: types: no any, nothing silenced', () => {
  const silenced = new RegExp(['@ts-', '(ignore|expect-error|nocheck)'].join(''))
  const wrong: string[] = []
  for (const source of sources) {
    source.lines.forEach((line, i) => {
      if (silenced.test(line)) wrong.push(`${source.path}:${i + 1}: ${line.trim()}`)
    })
    walk(source.ast, (node) => {
      if (node.type === 'TSAnyKeyword') wrong.push(`${source.path}:${lineAt(source, node.start)}: any`)
    })
  }
  expect(wrong).toEqual([])
})

test('tidy: exports: named ones only', () => {
  const wrong = production.filter(({ path, ast }) => {
    let found = false
    walk(ast, (node) => {
      if (node.type === 'ExportDefaultDeclaration') found = true
    })
    return found && !path.endsWith('.config.ts')
  })
  expect(wrong.map(({ path }) => path)).toEqual([])
})

test('tidy: files: each is reached from an entry point', () => {
  const byPath = new Map(production.map((source) => [source.path, source]))
  const reached = new Set<string>()
  const queue = production
    .filter(({ path }) => entryPoints.some((entry) => entry.test(path)))
    .map(({ path }) => path)
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    if (reached.has(path)) continue
    reached.add(path)
    queue.push(...(byPath.get(path)?.imports ?? []).filter(({ ours }) => ours).map(({ target }) => target))
  }
  expect(production.map(({ path }) => path).filter((path) => !reached.has(path))).toEqual([])
})

/** `Promise.all` rejects while the others still run: what they leave on their shards nobody would look at. */
test('tidy: several shards: all are waited for (settleAll), no Promise.all, in coordinator/execute', () => {
  const wrong = production
    .filter(({ path }) => path.startsWith('coordinator/execute/'))
    .flatMap((source) => {
      const found: string[] = []
      walk(source.ast, (node) => {
        const isCall = node.type === 'MemberExpression'
        if (isCall && source.text.slice(node.start, node.end) === 'Promise.all')
          found.push(`${source.path}:${lineAt(source, node.start)}`)
      })
      return found
    })
  expect(wrong).toEqual([])
})
