// Bundles the command line into dist/weft.js: one file, our packages left outside, well under a second; the web console
// into dist/console, with all its packages. And the query library into dist/client, with its types.
import { spawn } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const notSources = new Set(['node_modules', 'dist', 'test', 'docs', 'coverage'])

/** Runs in a thread of a node; found beside the program that the node is. */
const thread = { entry: 'coordinator/long-texts/thread.ts', outfile: 'dist/long-texts.js' }

/** Bundles `entry` into `outfile` (both relative to the repository), and the program of its thread. */
export async function build(entry = 'cli/main.ts', outfile = 'dist/weft.js') {
  // A node that is older than the thread's program does without it.
  const build = String(Date.now())
  const esbuild = await import('esbuild')
  try {
    await bundle(esbuild, thread.entry, thread.outfile, build)
    await bundleConsole(esbuild)
    await bundle(esbuild, entry, outfile, build)
  } finally {
    // Its helper process would live as long as ours, which may be a server.
    await esbuild.stop()
  }
}

/** Bundles the query library, which has nothing of the server in it, and prints its types beside it. */
export async function buildClient() {
  const esbuild = await import('esbuild')
  try {
    for (const name of ['index', 'kysely', 'drizzle', 'testing'])
      await bundle(esbuild, `client/${name}.ts`, `dist/client/${name}.js`, '')
  } finally {
    await esbuild.stop()
  }
  await tsc('--project', join(root, 'client/tsconfig.json'))
}

function tsc(...args) {
  const child = spawn(join(root, 'node_modules', '.bin', 'tsc'), args, { cwd: root, stdio: 'inherit' })
  return new Promise((done, fail) => {
    child.on('error', fail)
    child.on('close', (code) => (code === 0 ? done() : fail(new Error(`tsc ended with ${code}`))))
  })
}

async function bundle(esbuild, entry, outfile, build) {
  const out = join(root, outfile)
  mkdirSync(dirname(out), { recursive: true })
  // Written elsewhere and moved: another process may be importing the old one, or building too.
  const temporary = mkdtempSync(join(dirname(out), 'build-'))
  try {
    const file = join(temporary, outfile.split('/').at(-1))
    await esbuild.build({
      absWorkingDir: root,
      entryPoints: [entry],
      outfile: file,
      bundle: true,
      platform: 'node',
      target: 'node20',
      format: 'esm',
      packages: 'external',
      sourcemap: true,
      sourcesContent: false,
      sourceRoot: root,
      define: { 'process.env.WEFT_BUILD': JSON.stringify(build) },
      loader: { '.sql': 'text' },
      logLevel: 'warning',
    })
    renameSync(`${file}.map`, `${out}.map`)
    renameSync(file, out)
  } finally {
    rmSync(temporary, { recursive: true, force: true })
  }
}

/** What a node serves to browsers, found beside the program that the node is: a page, its script and its style. */
async function bundleConsole(esbuild) {
  const directory = join(root, 'dist/console')
  mkdirSync(directory, { recursive: true })
  const temporary = mkdtempSync(join(root, 'dist', 'build-'))
  try {
    await esbuild.build({
      absWorkingDir: root,
      entryPoints: [
        { in: 'console/main.tsx', out: 'app' },
        { in: 'console/style.css', out: 'app' },
      ],
      outdir: temporary,
      bundle: true,
      minify: true,
      platform: 'browser',
      target: ['chrome111', 'firefox113', 'safari16.4'],
      format: 'esm',
      jsx: 'automatic',
      jsxImportSource: 'preact',
      legalComments: 'none',
      logLevel: 'warning',
    })
    copyFileSync(join(root, 'console/index.html'), join(temporary, 'index.html'))
    for (const file of readdirSync(temporary)) renameSync(join(temporary, file), join(directory, file))
  } finally {
    rmSync(temporary, { recursive: true, force: true })
  }
}

/** Builds when `outfile` is missing or older than a source. */
export async function buildIfStale(entry = 'cli/main.ts', outfile = 'dist/weft.js') {
  const built = statSync(join(root, outfile), { throwIfNoEntry: false })?.mtimeMs ?? 0
  if (newestSource(root) > built) await build(entry, outfile)
}

function newestSource(dir) {
  let newest = 0
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name)
    if (entry.isDirectory()) {
      if (entry.name.startsWith('.') || notSources.has(entry.name)) continue
      newest = Math.max(newest, newestSource(path))
    } else if (/\.(ts|tsx|css|html|sql|json)$/.test(entry.name)) {
      newest = Math.max(newest, statSync(path).mtimeMs)
    }
  }
  return newest
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const started = performance.now()
  await build()
  await buildClient()
  console.log(`dist/weft.js and dist/client built in ${Math.round(performance.now() - started)} ms`)
}
