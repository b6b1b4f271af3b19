/** Documents and comments name files, commands and names of the code that are there. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { expect, test } from 'vitest'
import { readSources, repositoryFiles, root } from './sources.ts'

const files = repositoryFiles()
const documents = files
  .filter((path) => path.endsWith('.md') && path !== 'CHANGELOG.md')
  .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }))
const sources = readSources()

test('mentions: files: links of documents lead to files and headings', () => {
  const broken = documents.flatMap(({ path, text }) =>
    [...withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, target]) => target!)
      .filter((target) => !/^[a-z]+:/.test(target) && !leadsSomewhere(path, target))
      .map((target) => `${path}: ${target}`),
  )
  expect(broken).toEqual([])
})

test('mentions: files: what documents and comments name as a file is one', () => {
  const texts = [...documents, ...sources.flatMap(({ path, text }) => comments(path, text))]
  const missing = texts.flatMap(({ path, text }) =>
    pathsIn(text)
      .filter((name) => !isFile(path, name))
      .map((name) => `${path}: ${name}`),
  )
  expect([...new Set(missing)]).toEqual([])
})

test('mentions: commands: `npm run …` of documents is one', () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: object }
  const missing = documents.flatMap(({ path, text }) =>
    [...text.matchAll(/npm run ([\w:-]+)/g)]
      .filter(([, name]) => !(name! in scripts))
      .map(([all]) => `${path}: ${all}`),
  )
  expect(missing).toEqual([])
})

test('mentions: names: what documents name in camelCase is a name of the code', () => {
  const code = sources.map(({ text }) => text).join('\n')
  const names = new Set(code.match(/[A-Za-z_$][\w$]*/g))
  const missing = documents.flatMap(({ path, text }) =>
    [...text.matchAll(/`([a-z]+[A-Z]\w*)(?:\(\))?`/g)]
      .filter(([, name]) => !names.has(name!) && !OTHERS.has(name!))
      .map(([, name]) => `${path}: ${name}`),
  )
  expect([...new Set(missing)]).toEqual([])
})

const withoutCode = (text: string): string => text.replace(/```[\s\S]*?```|`[^`\n]*`/g, '')

function leadsSomewhere(from: string, target: string): boolean {
  const [file = '', anchor] = target.split('#')
  const path = file === '' ? from : normalize(join(dirname(from), file))
  if (!existsSync(join(root, path))) return false
  if (anchor === undefined) return true
  const headings = readFileSync(join(root, path), 'utf8').matchAll(/^#+ (.+)$/gm)
  return [...headings].some(([, heading]) => slugOf(heading!) === anchor)
}

/** As GitHub makes anchors of headings. */
const slugOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-')

/** In backticks: a path, or a file's name; of several in braces each, and of one with a star none. */
function pathsIn(text: string): string[] {
  return [...text.matchAll(/`((?:[\w.-]+\/)+[\w.{},-]*|[\w-]+\.(?:test\.)?(?:ts|js|md|sql|yaml|json))`/g)]
    .map(([, name]) => name!)
    .flatMap(spread)
    .filter((name) => !NO_FILE.test(name))
}

function spread(name: string): string[] {
  const braces = /^(.*)\{([^}]*)\}(.*)$/.exec(name)
  if (braces === null) return [name]
  return braces[2]!.split(',').map((part) => `${braces[1]}${part}${braces[3]}`)
}

/** What is built or made by a run, the library's name, sources of Postgres, a package of Go, networks. */
const NO_FILE =
  /^(?:dist|node_modules|\.weft|src\/test|jepsen\/results)\/|^(?:result|weft|sharded)\.(?:json|yaml)$|^weft\/client(?:\/\w+)?$|^drizzle-orm\/|^database\/sql$|^[\d.]+\/\d+$/

/** Names of V8 and of Prisma. */
const OTHERS: ReadonlySet<string> = new Set(['writeBuffer', 'shadowDatabaseUrl'])

function isFile(from: string, name: string): boolean {
  const path = name.replace(/\/$/, '')
  return (
    files.some(
      (file) =>
        file === path ||
        file.endsWith(`/${path}`) ||
        file.startsWith(`${path}/`) ||
        file.includes(`/${path}/`),
    ) || existsSync(join(root, dirname(from), path))
  )
}

function comments(path: string, text: string): { path: string; text: string }[] {
  const found = text.match(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm)
  return found === null ? [] : [{ path, text: found.join('\n') }]
}
