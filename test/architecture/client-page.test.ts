/** The reference in docs/client.md names what the query library exports, with its options and methods, and nothing else. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type Node, readSources, root, type Source } from './sources.ts'

const sources = readSources().filter(({ path }) => path.startsWith('client/'))
const pack = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  exports: Record<string, unknown>
}
const page = readFileSync(join(root, 'docs/client.md'), 'utf8')
const [, reference = ''] = page.split('\n## Reference\n')

const list = (value: unknown): Node[] => (value ?? []) as Node[]
const nameOf = (node: unknown): string => String((node as Node | null)?.name)

/** Of `export class`, `export const` and so on. */
function declared(source: Source): { name: string; declaration: Node }[] {
  return list(source.ast.body).flatMap((statement) => {
    const declaration = statement.declaration as Node | null
    if (statement.type !== 'ExportNamedDeclaration' || !declaration) return []
    const names = declaration.type === 'VariableDeclaration' ? list(declaration.declarations) : [declaration]
    return names.map(({ id }) => ({ name: nameOf(id), declaration }))
  })
}

/** What package.json's `./client…` export, by name; or of that what is there when it runs. */
function exportedNames(valuesOnly = false): string[] {
  const entries = Object.keys(pack.exports).filter((name) => name.startsWith('./client'))
  return entries.flatMap((entry) => {
    const path = entry === './client' ? 'client/index.ts' : `${entry.slice(2)}.ts`
    const source = sources.find((each) => each.path === path)!
    const isWanted = ({ exportKind }: Node): boolean => !valuesOnly || exportKind !== 'type'
    const statements = list(source.ast.body).filter(({ type }) => type === 'ExportNamedDeclaration')
    const passedOn = statements
      .filter(isWanted)
      .flatMap(({ specifiers }) => list(specifiers).filter(isWanted))
      .map(({ exported }) => nameOf(exported))
    const own = declared(source).filter(
      ({ declaration }) => !valuesOnly || !declaration.type.startsWith('TS'),
    )
    return [...passedOn, ...own.map(({ name }) => name)]
  })
}

/** Members that users may use: not private, nor `@internal`. */
function membersOf(source: Source, declaration: Node): string[] {
  const body = declaration.body as Node | undefined
  if (!body || !/^(ClassBody|TSInterfaceBody)$/.test(body.type)) return []
  return list(body.body).flatMap((member, i, all) => {
    const key = member.key as Node | undefined
    const before = source.text.slice(all[i - 1]?.end ?? body.start, member.start)
    const hidden =
      /@internal/.test(before) || member.static || /^(private|protected)$/.test(String(member.accessibility))
    return hidden || key?.type !== 'Identifier' || key.name === 'constructor' ? [] : [nameOf(key)]
  })
}

/** Words in code; one with a dot or brackets by its last word. */
const words = (text: string): Set<string> =>
  new Set([...text.matchAll(/`([^`]+)`/g)].flatMap(([, code]) => code!.match(/\w+/g) ?? []))

/** What a line of a table, and those that go on with it, say of the names in its first cell. */
function entries(): Map<string, string> {
  const found = new Map<string, string>()
  let names: string[] = []
  for (const line of reference.split('\n')) {
    const [, first] = /^\| *([^|]*?) *\|/.exec(line) ?? []
    if (first === undefined) continue
    if (first !== '') names = [...first.replace(/\(.*\)/, '').matchAll(/`(\w+)`/g)].map(([, name]) => name!)
    for (const name of names) found.set(name, `${found.get(name) ?? ''}\n${line}`)
  }
  const fields = /^`DatabaseErrorFields` are [\s\S]*?(?=\n\n|$(?![\s\S]))/m.exec(reference)?.[0]
  if (fields !== undefined) found.set('DatabaseErrorFields', fields)
  return found
}

test('docs/client.md: an entry for each exported name, and none for others', () => {
  const exported = [...new Set(exportedNames())].sort()
  expect(exported.length).toBeGreaterThan(50)
  expect([...entries().keys()].sort()).toEqual(exported)
})

test('docs/client.md: an entry names all the members of its type', () => {
  const entryOf = entries()
  const missing = sources.flatMap((source) =>
    declared(source).flatMap(({ name, declaration }) => {
      const entry = entryOf.get(name)
      if (entry === undefined) return []
      const said = words(entry)
      return membersOf(source, declaration).flatMap((member) =>
        said.has(member) ? [] : [`${name}.${member}`],
      )
    }),
  )
  expect(missing).toEqual([])
})

test('docs/client.md: each function, class and option is in a block, which is run', () => {
  const code = [...page.matchAll(/^```ts.*\n([\s\S]*?)^```$/gm)].map(([, text]) => text!).join('\n')
  const used = new Set(code.match(/\w+/g))
  const isOption = /Options$|^(Limits|SagaStep|TypeParsers|Clock)$/
  const exported = new Set(exportedNames())
  const options = sources.flatMap((source) =>
    declared(source).flatMap(({ name, declaration }) =>
      isOption.test(name) && exported.has(name) ? membersOf(source, declaration) : [],
    ),
  )
  expect(options.length).toBeGreaterThan(30)
  expect([...exportedNames(true), ...options].filter((name) => !used.has(name))).toEqual([])
})

test('docs/client.md: links lead to its own headings', () => {
  const anchors = [...page.matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
    title!
      .toLowerCase()
      .replace(/[^\w -]/g, '')
      .replaceAll(' ', '-'),
  )
  const links = [...page.matchAll(/\]\(#([\w-]+)\)/g)].map(([, link]) => link!)
  expect(links.filter((link) => !anchors.includes(link))).toEqual([])
})
