import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { parseAst } from 'vitest/node'

/** A node of the syntax tree (ESTree with TypeScript). */
export interface Node {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly [property: string]: unknown
}

export interface Import {
  /** Path in the repository for a file of ours, else the name of the package. */
  readonly target: string
  readonly ours: boolean
  readonly typeOnly: boolean
}

export interface Source {
  /** Path in the repository, with forward slashes. */
  readonly path: string
  readonly text: string
  readonly lines: readonly string[]
  readonly ast: Node
  /** Why it could not be parsed; its tree is empty then. */
  readonly broken: string | undefined
  readonly imports: readonly Import[]
  readonly isTest: boolean
}

export const root = process.cwd()
const skipped = new Set(['node_modules', 'dist', 'coverage', 'docs'])

/** Every TypeScript file of the repository. */
export function readSources(): Source[] {
  return findFiles(root, (name) => /\.tsx?$/.test(name)).map(readSource)
}

/** Scripts, which are plain JavaScript: only their text is looked at. */
export function readScripts(): { path: string; lines: string[] }[] {
  return findFiles(root, (name) => name.endsWith('.js')).map((path) => ({
    path,
    lines: readFileSync(join(root, path), 'utf8').split('\n'),
  }))
}

/** Paths of all files of the repository, documents too; not what is built or installed. */
export function repositoryFiles(): string[] {
  const docs = readdirSync(join(root, 'docs'), { recursive: true, withFileTypes: true })
  const isDoc = docs.filter((entry) => entry.isFile())
  const own = isDoc.map((entry) => relative(root, join(entry.parentPath, entry.name)))
  return [...findFiles(root, () => true), ...own]
}

function findFiles(dir: string, wanted: (name: string) => boolean): string[] {
  return readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
    const path = join(dir, entry.name)
    if (entry.isDirectory()) {
      return entry.name.startsWith('.') || skipped.has(entry.name) ? [] : findFiles(path, wanted)
    }
    return wanted(entry.name) ? [relative(root, path)] : []
  })
}

function readSource(path: string): Source {
  const text = readFileSync(join(root, path), 'utf8')
  const { ast, broken } = parse(text, path.endsWith('x') ? 'tsx' : 'ts')
  const isTest = path.startsWith('test/') || path.endsWith('.test.ts') || /\/testing\/|testdata/.test(path)
  return { path, text, lines: text.split('\n'), ast, broken, imports: findImports(path, ast), isTest }
}

function parse(text: string, lang: 'ts' | 'tsx'): { ast: Node; broken: string | undefined } {
  try {
    return { ast: parseAst(text, { lang }) as unknown as Node, broken: undefined }
  } catch (error) {
    return { ast: { type: 'Program', start: 0, end: 0 }, broken: (error as Error).message }
  }
}

function findImports(path: string, ast: Node): Import[] {
  const imports: Import[] = []
  walk(ast, (node) => {
    if (!/^(Import|ExportNamed|ExportAll)Declaration$|^ImportExpression$/.test(node.type)) return
    const name = (node.source as { value?: unknown } | null)?.value
    if (typeof name !== 'string') return
    const ours = name.startsWith('.')
    const target = ours ? normalize(join(dirname(path), name)) : name
    imports.push({ target, ours, typeOnly: node.importKind === 'type' || node.exportKind === 'type' })
  })
  return imports
}

/** Visits a node and everything below it. */
export function walk(node: Node, visit: (node: Node) => void): void {
  visit(node)
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) {
      if (isNode(child)) walk(child, visit)
    }
  }
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string'
}

/** 1-based line of an offset. */
export function lineAt(source: Source, offset: number): number {
  return source.text.slice(0, offset).split('\n').length
}
