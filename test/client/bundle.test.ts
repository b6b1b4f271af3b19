/** What `import … from 'weft/client'` gives a program: its own bundle, and types that need no others. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { root } from '../architecture/sources.ts'
import { pageBlocks, pageFiles, programBlocks } from './page.ts'

let folder: string
beforeAll(() => {
  const build = "import { buildClient } from './scripts/build.js'; await buildClient()"
  const { status } = spawnSync(process.execPath, ['--input-type=module', '-e', build], {
    cwd: root,
    stdio: 'inherit',
  })
  expect(status).toBe(0)
  folder = mkdtempSync(join(root, 'dist/consumer-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test.each([
  ['index', ['pg']],
  ['kysely', ['kysely']],
  ['drizzle', []],
  ['testing', ['pg']],
])('bundle: what %s imports', (name, expected) => {
  const text = readFileSync(join(root, `dist/client/${name}.js`), 'utf8')
  const packages = [...text.matchAll(/^(?:import|export) [^;"]*?from "([^"]+)";?$/gm)].map(([, one]) => one!)
  expect([...new Set(packages.filter((one) => !isBuiltin(one)))]).toEqual(expected)
})

test('bundle: a program in plain JavaScript', () => {
  const program = "import { sql, weft } from 'weft/client'; console.log(typeof weft, sql`a `.compile().text)"
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    cwd: root,
    encoding: 'utf8',
  })
  expect([stdout, stderr]).toEqual(['function a \n', ''])
})

test('bundle: its types are whole, checked as strictly as a program may', () => {
  const file = join(folder, 'program.ts')
  writeFileSync(
    file,
    `import { type Db, sql, weft } from 'weft/client'
     import { drizzleRemote } from 'weft/client/drizzle'
     import { startTestCluster, type TestCluster } from 'weft/client/testing'
     const db: Db = weft('postgres://a')
     export const remote = drizzleRemote(db)
     export const cluster: Promise<TestCluster> = startTestCluster({ with: 'process' })
     export const one: Promise<{ n: number }> = db.one(sql<{ n: number }>\`SELECT 1 AS n\`)\n`,
  )
  expect(typeErrors(file, ['--skipLibCheck', 'false'])).toBe('')
})

test('bundle: the types of what docs/client.md shows', () => {
  const blocks = pageBlocks().filter(({ info }) => programBlocks.includes(info))
  const file = join(folder, 'page.ts')
  writeFileSync(file, blocks.map(({ text }) => text).join('\n'))
  // Drizzle's types are not whole without all the databases that it knows.
  expect(typeErrors(file, ['--skipLibCheck'])).toBe('')
})

/** What `tsc` says of a file with these flags. */
function typeErrors(file: string, flags: string[]): string {
  const strict = ['--strict', '--exactOptionalPropertyTypes', '--noEmit', ...flags]
  const modules = ['--module', 'nodenext', '--target', 'es2022', '--types', 'node', '--ignoreConfig']
  const tsc = join(root, 'node_modules/.bin/tsc')
  return spawnSync(tsc, [...strict, ...modules, file], { cwd: root, encoding: 'utf8' }).stdout
}

test('bundle: the files of docs/client.md that test a program with a cluster', () => {
  const files = pageFiles()
  expect([...files.keys()]).toEqual(['weft-setup.ts', 'orders.test.ts'])
  for (const [name, text] of files) writeFileSync(join(folder, name), text)
  const config = "export default { test: { globalSetup: './weft-setup.ts' } }"
  writeFileSync(join(folder, 'vitest.config.js'), config)
  const vitest = join(root, 'node_modules/.bin/vitest')
  const { status, stdout } = spawnSync(vitest, ['run', '--root', folder], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: '0' },
  })
  expect(stdout).toMatch(/Tests +1 passed/)
  expect(status).toBe(0)
})
