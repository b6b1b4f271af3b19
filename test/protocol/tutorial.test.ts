/** docs/tutorial.md: its SQL is run by one psql, and prints what the page says. UPDATE=1 writes the outputs anew. */
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { expect, test } from 'vitest'
import { root } from '../architecture/sources.ts'
import { useTestCluster } from '../helpers/cluster.ts'

const FILE = join(root, 'docs/tutorial.md')
const MARK = '=== end of block'
const hasPsql = (process.env.PATH ?? '').split(delimiter).some((dir) => existsSync(join(dir, 'psql')))

const cluster = useTestCluster()

/** A block of SQL, and the one right after it with what it prints. */
const BLOCKS = /^```sql\n([\s\S]*?)^```\n(?:\n```text\n([\s\S]*?)^```\n)?/gm

/** Errors and notices among the rows, where they come. */
function psql(script: string): Promise<string> {
  return new Promise((done, failed) => {
    const child = spawn('sh', ['-c', 'exec psql -X "$0" 2>&1', cluster.current.weftUrl], {
      env: { ...process.env, PGCLIENTENCODING: 'UTF8', LC_ALL: 'C.UTF-8', TZ: 'UTC' },
    })
    let said = ''
    child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
    child.on('error', failed)
    child.on('close', () => done(said))
    child.stdin.end(script)
  })
}

test.runIf(hasPsql)('docs: the tutorial prints what it says', async () => {
  const text = readFileSync(FILE, 'utf8')
  const blocks = [...text.matchAll(BLOCKS)].map(([, sql]) => sql!)
  const said = await psql(blocks.map((sql) => `${sql}\\echo ${MARK}\n`).join(''))
  const outputs = said.split(`${MARK}\n`).slice(0, -1)
  expect(outputs).toHaveLength(blocks.length)
  let n = 0
  const printed = text.replaceAll(BLOCKS, (_, sql: string, before?: string) => {
    const output = outputs[n++]!
    if (before === undefined && !/^(?:ERROR|FATAL|psql):?/m.test(output)) return `\`\`\`sql\n${sql}\`\`\`\n`
    return `\`\`\`sql\n${sql}\`\`\`\n\n\`\`\`text\n${output.replace(/[ \n]+\n/g, '\n')}\`\`\`\n`
  })
  if (process.env.UPDATE === '1') writeFileSync(FILE, printed)
  else expect(printed).toBe(text)
})
