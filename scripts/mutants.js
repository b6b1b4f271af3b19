// Builds of weft that are broken on purpose, each at one place: a suite that finds nothing in them finds nothing.
import { mkdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** Each edit's text is in its file exactly once (scripts/mutants.test.ts sees to it). */
export const mutants = {
  'cut-without-hold': [
    {
      file: 'shard-agent/gate/gate-machine.ts',
      from: "if (kind === 'statement') return false\n    if (kind === 'local'",
      to: "if (kind !== 'statement' || gid !== '') return true\n    if (kind === 'local'",
    },
    {
      file: 'shard-agent/gate/gate-machine.ts',
      from: "if (prepareTs > ts || decision === 'abort' ||",
      to: "if (gid !== '' || prepareTs > ts || decision === 'abort' ||",
    },
  ],
  'commit-before-decision': [
    {
      file: 'coordinator/commit/running-commit.ts',
      from: 'return this.writeDecision(effect.commitTs, effect.participants, effect.attempt)',
      to: "return Promise.resolve().then(() => this.on({ kind: 'log-created' }))",
    },
  ],
  'no-probe': [
    {
      file: 'coordinator/commit/running-commit.ts',
      from: 'const { probe = false, moves = false } = this.request',
      to: 'const { moves = false } = this.request\n    const probe = false',
    },
  ],
  'recovery-aborts': [
    {
      file: 'txn/recovery-rules.ts',
      from: "return record.decision === 'commit'\n    ?",
      to: "return record.txnId === '' && record.decision === 'commit'\n    ?",
    },
  ],
  'untold-not-held': [
    {
      file: 'shard-agent/gate/gate-machine.ts',
      from: 'return this.cuts.every((cut) => ts <= cut.ts && !cut.untold.has(gid))',
      to: "return this.cuts.every((cut) => gid !== '' || ts <= cut.ts)",
    },
  ],
  'clock-bound-lost': [
    {
      file: 'txn/hlc.ts',
      from: 'startHlc(this.reading(), stored)',
      to: 'startHlc(this.reading(), 0 * stored)',
    },
  ],
  'session-forgets': [
    {
      file: 'coordinator/execute/transaction/causal.ts',
      from: 'const ts = shard === this.shard ? this.second : this.highest',
      to: 'const ts = shard === this.shard ? 0n : this.highest * 0n',
    },
  ],
}

/** Bundles it and returns where it is. */
export async function buildMutant(name) {
  const edits = mutants[name]
  if (edits === undefined) throw new Error(`no mutant ${name}; there are ${Object.keys(mutants).join(', ')}`)
  const outfile = join(root, 'dist', 'mutants', name, 'weft.js')
  mkdirSync(dirname(outfile), { recursive: true })
  const esbuild = await import('esbuild')
  try {
    await esbuild.build({
      ...{ absWorkingDir: root, entryPoints: ['cli/main.ts'], outfile, bundle: true, platform: 'node' },
      ...{ target: 'node20', format: 'esm', packages: 'external', logLevel: 'warning' },
      define: { 'process.env.WEFT_BUILD': JSON.stringify(name) },
      loader: { '.sql': 'text' },
      plugins: [{ name: 'mutant', setup: (build) => edit(build, edits) }],
    })
  } finally {
    await esbuild.stop()
  }
  return outfile
}

function edit(build, edits) {
  for (const file of new Set(edits.map((each) => each.file))) {
    const filter = new RegExp(`/${file.replaceAll('.', '\\.')}$`)
    build.onLoad({ filter }, () => ({ loader: 'ts', contents: edited(file, edits) }))
  }
}

function edited(file, edits) {
  let text = readFileSync(join(root, file), 'utf8')
  for (const { from, to } of edits.filter((each) => each.file === file)) {
    if (text.split(from).length !== 2) throw new Error(`${file} has this not just once: ${from}`)
    text = text.replace(from, to)
  }
  return text
}
