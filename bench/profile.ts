/** Reads a CPU profile of V8 and says which of our modules, and which functions in them, the time goes to. */
import { readFileSync } from 'node:fs'
import { SourceMap } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { align } from './report.ts'

export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: {
      readonly functionName: string
      readonly url: string
      /** From 0. */
      readonly lineNumber: number
      readonly columnNumber: number
    }
  }[]
  readonly samples: readonly number[]
  /** Microseconds between a sample and the one before it. */
  readonly timeDeltas: readonly number[]
}

export interface SelfTime {
  readonly module: string
  readonly name: string
  readonly us: number
}

/** Where a place in a generated file comes from. */
export type Locate = (url: string, line: number, column: number) => string

/** Nothing to do; and the profiler, starting. */
const notWork = new Set(['(idle)', 'dispatch'])

function isWork({ functionName, url }: CpuProfile['nodes'][number]['callFrame']): boolean {
  return url !== '' || !notWork.has(functionName)
}

/** Self time by module and function, the most first; idle time left out. */
export function selfTimes(profile: CpuProfile, locate: Locate): SelfTime[] {
  const usOfNode = new Map<number, number>()
  profile.samples.forEach((id, i) => {
    usOfNode.set(id, (usOfNode.get(id) ?? 0) + (profile.timeDeltas[i] ?? 0))
  })
  const sums = new Map<string, SelfTime>()
  for (const { id, callFrame } of profile.nodes) {
    const us = usOfNode.get(id) ?? 0
    const { functionName, url, lineNumber, columnNumber } = callFrame
    if (us === 0 || !isWork(callFrame)) continue
    const name = functionName || '(anonymous)'
    const module = url === '' ? '(native)' : locate(url, lineNumber, columnNumber)
    const key = `${module} ${name}`
    sums.set(key, { module, name, us: us + (sums.get(key)?.us ?? 0) })
  }
  return [...sums.values()].sort((a, b) => b.us - a.us)
}

/** Share of the profile's time in which the process had something to do. */
export function busyShare(profile: CpuProfile): number {
  const idle = new Set(profile.nodes.filter(({ callFrame }) => !isWork(callFrame)).map(({ id }) => id))
  let total = 0
  let waiting = 0
  profile.samples.forEach((id, i) => {
    total += profile.timeDeltas[i] ?? 0
    if (idle.has(id)) waiting += profile.timeDeltas[i] ?? 0
  })
  return total === 0 ? 0 : 1 - waiting / total
}

const modulesMax = 16
const functionsMax = 6
/** Less than this share of the busy time is not worth a line. */
const shareMin = 0.004

/** The modules with most self time, each with its functions. */
export function formatSelfTimes(times: readonly SelfTime[]): string {
  const total = times.reduce((sum, { us }) => sum + us, 0)
  const share = (us: number): string => `${((100 * us) / total).toFixed(1)}%`
  const modules = [...new Set(times.map(({ module }) => module))]
    .map((module) => ({ module, functions: times.filter((time) => time.module === module) }))
    .map((group) => ({ ...group, us: group.functions.reduce((sum, f) => sum + f.us, 0) }))
    .sort((a, b) => b.us - a.us)
    .slice(0, modulesMax)
  const rows = modules.flatMap(({ module, functions, us }) => [
    [module, share(us)],
    ...functions
      .filter((f) => f.us >= shareMin * total)
      .slice(0, functionsMax)
      .map((f) => [`    ${f.name}`, share(f.us)]),
  ])
  return align(rows).join('\n')
}

/**
 * Follows the source maps of bundled files; what has none is named by its path. The maps are read now: by the time a
 * profile is, somebody may have bundled newer sources.
 */
export function sourceLocator(root: string, bundles: readonly string[]): Locate {
  const maps = new Map(bundles.map((file) => [pathToFileURL(file).href, readMap(file)]))
  const tidy = (path: string): string =>
    path
      .replace(root, '')
      .replace(/^(\.*\/)+/, '')
      .replace(/^.*node_modules\//, '')
  return (url, line, column) => {
    if (!url.startsWith('file:')) return url
    const entry = maps.get(url)?.findEntry(line, column)
    if (entry !== undefined && 'originalSource' in entry) return tidy(entry.originalSource)
    return tidy(fileURLToPath(url))
  }
}

function readMap(file: string): SourceMap | undefined {
  try {
    return new SourceMap(JSON.parse(readFileSync(`${file}.map`, 'utf8')))
  } catch {
    return undefined
  }
}
