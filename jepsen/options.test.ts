import { describe, expect, test } from 'vitest'
import { faultNames, faultsNamed } from './nemesis/faults.ts'
import { commandOf, type Options, parseOptions, UsageError } from './options.ts'
import { allRuns } from './run/matrix.ts'
import { mutantRuns } from './run/mutant-runs.ts'
import { workloadNames } from './workloads/workloads.ts'

const parsed = (...args: string[]): Options => {
  const options = parseOptions(args)
  if (options === 'help') throw new Error('help was asked for')
  return options
}

describe('options', () => {
  test('the command of a run leads to the same run', () => {
    const options = parsed(
      ...['--workload', 'bank', '--nemesis', 'kill,partition', '--nemesis', 'clock-jump', '--seed', '7'],
      ...['--isolation', 'read-committed', '--log', 'postgres', '--set', 'weft.consistent_reads=off'],
    )
    expect(options.nemesis).toEqual(['kill', 'partition', 'clock-jump'])
    expect(parsed(...commandOf(options).split(' ').slice(4))).toEqual(options)
  })

  test.each([
    [['--workload', 'nothing'], /no workload nothing/],
    [['--nemesis', 'kill,rain'], /no nemesis rain/],
    [['--nemesis', 'kill', '--endpoint', 'postgres://h/d'], /nothing is broken/],
    [['--time', '0'], /--time takes a number above 0/],
    [['--isolation', 'chaos'], /--isolation takes/],
    [['--set', 'x'], /--set takes name=value/],
    [['--what'], /--what/],
  ])('%s is refused in words', (args, words) => {
    expect(() => parseOptions(args)).toThrow(UsageError)
    expect(() => parseOptions(args)).toThrow(words)
  })

  test('a password is not in the command of a run', () => {
    const command = commandOf(parsed('--endpoint', 'postgres://me:secret@host/db'))
    expect(command).not.toContain('secret')
  })

  test('--all: every workload at every level that means something to it, and every fault somewhere', () => {
    const runs = allRuns(parsed('--all', '--out', 'there', '--seed', '5'))
    const kinds = new Set(runs.map(({ workload, isolation }) => `${workload} ${isolation}`))
    expect(kinds.size).toBe(workloadNames.length * 3 - 2)
    expect(new Set(runs.map(({ out }) => out)).size).toBe(runs.length)
    const broken = new Set(
      runs.flatMap(({ nemesis }) => nemesis.flatMap(faultsNamed)).map(({ name }) => name),
    )
    const single = faultNames.flatMap(faultsNamed).map(({ name }) => name)
    expect(single.filter((name) => !broken.has(name))).toEqual([])
  })

  test('--mutants: every broken build is hunted, and its command can be repeated', async () => {
    const { mutants } = (await import(new URL('../scripts/mutants.js', import.meta.url).href)) as {
      mutants: object
    }
    const hunts = mutantRuns(parsed('--mutants'))
    expect(hunts.map(([first]) => first?.mutant).sort()).toEqual(Object.keys(mutants).sort())
    const [first] = hunts.flat()
    expect(commandOf(first as Options)).toContain(`--mutant ${first?.mutant}`)
  })
})
