// npm run check: types, lint and format, architecture. All at once; prints each one's verdict, and what failed in full.
import { spawn } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const checks = [
  { name: 'types', command: ['tsc', '-p', '.'] },
  { name: 'types of the console', command: ['tsc', '-p', 'console'] },
  {
    name: 'lint and format',
    command: ['biome', 'check', '--error-on-warnings', '--max-diagnostics=100', '.'],
  },
  { name: 'architecture', command: ['vitest', 'run', 'test/architecture'] },
]

const verdicts = await Promise.all(checks.map(run))
process.exitCode = verdicts.every((ok) => ok) ? 0 : 1

function run({ name, command: [tool, ...args] }) {
  const started = performance.now()
  const child = spawn(join(root, 'node_modules', '.bin', tool), args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, FORCE_COLOR: process.stdout.isTTY ? '1' : '0' },
  })
  const output = []
  child.stdout.on('data', (chunk) => output.push(chunk))
  child.stderr.on('data', (chunk) => output.push(chunk))
  return new Promise((done) => {
    child.on('error', (error) => output.push(Buffer.from(`${error.message}; run npm ci first\n`)))
    child.on('close', (code) => {
      if (code !== 0) process.stdout.write(Buffer.concat(output))
      const seconds = ((performance.now() - started) / 1000).toFixed(1)
      console.log(`${code === 0 ? 'ok    ' : 'FAILED'} ${name} (${seconds} s)`)
      done(code === 0)
    })
  })
}
