import { describe, expect, test } from 'vitest'
import { commandOf, type Options, parseOptions, UsageError } from './options.ts'

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
})
