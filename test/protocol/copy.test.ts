import { beforeAll, describe, test } from 'vitest'
import {
  bind,
  COPY_DONE,
  copyData,
  copyFail,
  execute,
  FLUSH,
  parse,
  SYNC,
} from '../../protocol/wire/frontend-messages.ts'
import { createTwins, useTestCluster } from '../helpers/cluster.ts'
import { compare, type Step, until } from '../helpers/wire-script.ts'

const cluster = useTestCluster()

/** A COPY FROM STDIN statement and its data, in one write or in two. */
function copyIn(sql: string, ...data: readonly (string | Buffer)[]): Step[] {
  return [
    [sql, until('CopyInResponse')],
    [...data.map((each) => copyData(each)), COPY_DONE, until('ReadyForQuery')],
  ]
}

const opened = until('CopyInResponse')
const ready = until('ReadyForQuery')

/** Binary COPY of rows `(int4, text)`. */
function binaryRows(rows: readonly (readonly [number, string | null])[]): Buffer {
  const parts: Buffer[] = [Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1')]
  for (const [id, text] of rows) {
    const row = Buffer.alloc(10)
    row.writeInt16BE(2, 0)
    row.writeInt32BE(4, 2)
    row.writeInt32BE(id, 6)
    const length = Buffer.alloc(4)
    length.writeInt32BE(text === null ? -1 : Buffer.byteLength(text))
    parts.push(row, length, Buffer.from(text ?? ''))
  }
  parts.push(Buffer.from([0xff, 0xff]))
  return Buffer.concat(parts)
}

const many = Array.from({ length: 5000 }, (_, i) => `${i + 100}\t${'row '.repeat(20)}${i}\n`).join('')

/** `t (id int PRIMARY KEY, v text)`, local or sharded by id. */
const scripts: Readonly<Record<string, readonly Step[]>> = {
  'text in and out': [
    ...copyIn('COPY t FROM STDIN', '1\tone\n', '2\ttwo\n3\t\\N\n', '4\ta\\tb\\nc\\\\d\n'),
    'SELECT count(*) FROM t',
    'COPY t TO STDOUT',
    'COPY t (v, id) TO STDOUT',
    'COPY (SELECT v FROM t WHERE id = 1) TO STDOUT',
    'SELECT * FROM t WHERE id = 4',
  ],
  'data cut anywhere': [
    ...copyIn('COPY t FROM STDIN', '1', '\ton', 'e\n2\t', 'two', '\n'),
    ...copyIn('COPY t FROM STDIN', ...[...'3\tthree\n4\tfour\n']),
    ...copyIn('COPY t FROM STDIN', '5\tno newline at the end'),
    ...copyIn('COPY t FROM STDIN', '6\tsix\n\\.\n', '7\tafter the end\n'),
    ...copyIn('COPY t FROM STDIN'),
    'SELECT * FROM t',
  ],
  'csv in and out': [
    ...copyIn(
      'COPY t FROM STDIN (FORMAT csv)',
      '1,one\n2,"two, with ""quotes"""\n3,\n4,""\n5,"two\nlines"\n',
    ),
    'SELECT * FROM t',
    'COPY t TO STDOUT (FORMAT csv)',
    "COPY t TO STDOUT WITH CSV QUOTE $$'$$ FORCE QUOTE v",
    ...copyIn("COPY t (v, id) FROM STDIN (FORMAT csv, DELIMITER ';', NULL 'nix')", 'six;6\nnix;7\n'),
    ...copyIn('COPY t FROM STDIN (FORMAT csv, HEADER)', 'id,v\n8,eight\n'),
    ...copyIn('COPY t FROM STDIN (FORMAT csv, HEADER match)', 'id,v\n9,nine\n'),
    ...copyIn('COPY t FROM STDIN (FORMAT csv, HEADER match)', 'id,w\n10,ten\n'),
    ...copyIn('COPY t FROM STDIN (FORMAT csv, FORCE_NULL (v))', '11,""\n'),
    ...copyIn('COPY t FROM STDIN (FORMAT csv)', '12,"unterminated\n'),
    'SELECT * FROM t',
  ],
  'csv header out': ['COPY t TO STDOUT (FORMAT csv, HEADER)', 'COPY t (v) TO STDOUT (HEADER)'],
  'binary in and out': [
    ...copyIn(
      'COPY t FROM STDIN (FORMAT binary)',
      binaryRows([
        [1, 'one'],
        [2, null],
        [3, ''],
        [4, 'vier ä'],
      ]),
    ),
    'SELECT * FROM t',
    'COPY (SELECT * FROM t WHERE id = 1) TO STDOUT (FORMAT binary)',
    ...copyIn('COPY t FROM STDIN (FORMAT binary)', 'not binary at all'),
    ...copyIn('COPY t FROM STDIN (FORMAT binary)', binaryRows([[5, 'five']]).subarray(0, 30)),
    'SELECT count(*) FROM t',
  ],
  'the client gives up': [
    ['COPY t FROM STDIN', opened],
    [copyData('1\tone\n'), copyFail('changed my mind'), ready],
    'SELECT count(*) FROM t',
    'BEGIN',
    ['COPY t FROM STDIN', opened],
    [copyFail(''), ready],
    'SELECT 1',
    'ROLLBACK',
  ],
  'bad rows': [
    ...copyIn('COPY t FROM STDIN', '1\tone\nx\ttwo\n3\tthree\n'),
    ...copyIn('COPY t FROM STDIN', '1\tone\n2\n'),
    ...copyIn('COPY t FROM STDIN', '1\tone\textra\n'),
    ...copyIn('COPY t FROM STDIN', '1\tone\n1\tdup\n'),
    ...copyIn('COPY t FROM STDIN', '99999999999\tbig\n'),
    'SELECT count(*) FROM t',
    'BEGIN',
    ...copyIn('COPY t FROM STDIN', '1\tone\n'),
    ...copyIn('COPY t FROM STDIN', 'x\tone\n'),
    'SELECT 1',
    'COMMIT',
    'SELECT count(*) FROM t',
  ],
  'statements that cannot be': [
    'COPY no_such_table FROM STDIN',
    'COPY t (nope) FROM STDIN',
    'COPY t (id, id) FROM STDIN',
    'COPY (SELECT 1/0) TO STDOUT',
    'COPY t FROM PROGRAM',
    'SELECT 1',
  ],
  'among other statements': [
    ['SELECT 1; COPY t FROM STDIN; SELECT 2', opened],
    [copyData('1\tone\n'), COPY_DONE, ready],
    ['COPY t FROM STDIN; COPY t (id) FROM STDIN; SELECT count(*) FROM t', opened],
    [copyData('2\ttwo\n'), COPY_DONE, opened],
    [copyData('3\n'), COPY_DONE, ready],
    ['COPY t FROM STDIN; SELECT 1/0', opened],
    [copyData('4\tfour\n'), COPY_DONE, ready],
    'SELECT count(*) FROM t',
    "COPY (SELECT 5) TO STDOUT; INSERT INTO t VALUES (5, 'five'); COPY (SELECT v FROM t) TO STDOUT",
  ],
  'in a block': [
    'BEGIN',
    ...copyIn('COPY t FROM STDIN', '1\tone\n2\ttwo\n3\tthree\n'),
    'SELECT count(*) FROM t',
    'ROLLBACK',
    'SELECT count(*) FROM t',
    'BEGIN; SAVEPOINT s',
    ...copyIn('COPY t FROM STDIN', '1\tone\n2\ttwo\n3\tthree\n'),
    'ROLLBACK TO s',
    ...copyIn('COPY t FROM STDIN', '4\tfour\n'),
    'COMMIT',
    'SELECT * FROM t',
  ],
  'much data': [
    ['COPY t FROM STDIN', opened],
    [...chunks(many, 10_000).map((chunk) => copyData(chunk)), COPY_DONE, ready],
    'SELECT count(*), sum(id), min(v), max(length(v)) FROM t',
    'COPY t TO STDOUT',
  ],
  'other messages during COPY': [
    ['COPY t FROM STDIN', opened],
    [copyData('1\tone\n'), FLUSH, SYNC, copyData('2\ttwo\n'), COPY_DONE, ready],
    'SELECT count(*) FROM t',
    ['COPY t FROM STDIN', opened],
    [copyData('3\tthree\n'), 'SELECT 1', until('ReadyForQuery')],
    'SELECT count(*) FROM t',
  ],
  'the data comes with the statement': [
    ['COPY t FROM STDIN', copyData('1\tone\n'), COPY_DONE],
    ['COPY t FROM STDIN', copyData('x\tone\n'), COPY_DONE, 'SELECT 1'],
    ['COPY no_such FROM STDIN', copyData('1\tone\n'), COPY_DONE, 'SELECT 2'],
    'SELECT count(*) FROM t',
  ],
  'extended protocol': [
    [parse('', 'COPY t FROM STDIN'), bind({}), execute(), SYNC, opened],
    [copyData('1\tone\n2\ttwo\n'), COPY_DONE, SYNC, ready],
    [parse('', 'COPY t FROM STDIN'), bind({}), execute(), FLUSH, opened],
    [copyData('3\tthree\n'), COPY_DONE, SYNC, ready],
    [parse('', 'COPY t FROM STDIN'), bind({}), execute(), FLUSH, opened],
    [copyFail('no'), SYNC, ready],
    [parse('', 'COPY t FROM STDIN'), bind({}), execute(), FLUSH, opened],
    [copyData('x\tbad\n'), COPY_DONE, SYNC, ready],
    [parse('', 'COPY t TO STDOUT'), bind({}), execute(), SYNC],
    [
      parse('', 'COPY (SELECT 1) TO STDOUT'),
      bind({}),
      execute(),
      parse('', 'SELECT 1'),
      bind({}),
      execute(),
      SYNC,
    ],
    'SELECT count(*) FROM t',
  ],
}

function chunks(text: string, size: number): string[] {
  return Array.from({ length: Math.ceil(text.length / size) }, (_, i) => text.slice(i * size, (i + 1) * size))
}

describe.each(['local', 'sharded'])('COPY of %s tables', (kind) => {
  const cases = Object.entries(scripts).map(([name, script], i) => ({ name, script, table: `${kind}${i}` }))

  beforeAll(async () => {
    for (const { table } of cases) {
      const ddl = `CREATE TABLE ${table} (id int PRIMARY KEY, v text)`
      await createTwins(cluster.current, ddl, kind === 'sharded' ? { shard_key: 'id' } : {})
    }
  })

  test.each(cases)('$name', async ({ script, table }) => {
    const named = script.map((step) => withTable(step, table))
    await compare(cluster.current, named, { unordered: true, mask: withoutWhere })
  })
})

/** Where in the data Postgres was; the rest of a row that did not end, and a place after the last row, differ. */
function withoutWhere(line: string): string {
  return /COPY from stdin failed|unexpected|unterminated/.test(line) ? line.replace(/ W=COPY.*/s, '') : line
}

function withTable(step: Step, table: string): Step {
  if (typeof step === 'string') return step.replace(/\b(COPY|FROM|INTO) t\b/g, `$1 ${table}`)
  if (!Array.isArray(step)) return step
  return step.map((part: unknown) => {
    if (typeof part === 'string') return withTable(part, table)
    if (!Buffer.isBuffer(part) || part[0] !== 0x50) return part
    const sql = part.toString('utf8', 6, part.indexOf(0, 6))
    return parse('', withTable(sql, table) as string)
  }) as Step
}
