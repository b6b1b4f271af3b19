import { expect, test } from 'vitest'
import { PgError } from '../../../errors/pg-error.ts'
import { copyData } from '../../../protocol/wire/backend-messages.ts'
import { CopyOutConsumer } from './session-runner.ts'
import type { ShardLine } from './shard-line.ts'

const IDLE = 0x49

function lineThat(noted: string[]): ShardLine {
  const note = (what: string) => () => void noted.push(what)
  const session = { cancel: note('cancel'), pause: note('pause'), resume: note('resume') }
  return { active: true, session } as unknown as ShardLine
}

const rows = (...texts: string[]): Buffer => Buffer.concat(texts.map((text) => copyData(Buffer.from(text))))

test.each([
  [
    'at once',
    () => {
      throw new PgError({ code: '22P02', message: 'no' })
    },
    ['cancel'],
  ],
  [
    'later',
    () => Promise.reject(new PgError({ code: '22P02', message: 'no' })),
    ['pause', 'cancel', 'resume'],
  ],
])(
  'copy out: a receiver that fails %s: the statement ends with its error, and it gets no more rows',
  async (_, fail, noted) => {
    const taken: string[] = []
    const told: string[] = []
    const copy = new CopyOutConsumer((row) => {
      taken.push(row.toString())
      return fail()
    })
    const line = lineThat(told)
    copy.data(line, rows('a', 'b'), 0)
    copy.data(line, rows('c'), IDLE)
    expect((await copy.ended).error).toMatchObject({ code: '22P02' })
    expect(taken).toEqual(['a'])
    expect(told).toEqual(noted)
  },
)
