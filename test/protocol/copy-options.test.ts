import { beforeAll, describe, test } from 'vitest'
import { COPY_DONE, copyData, copyFail } from '../../protocol/wire/frontend-messages.ts'
import { createTwins, useTestCluster } from '../helpers/cluster.ts'
import { query } from '../helpers/postgres.ts'
import { compare, type Step, until } from '../helpers/wire-script.ts'

const cluster = useTestCluster()

function copyIn(sql: string, ...data: readonly (string | Buffer)[]): Step[] {
  return [
    [sql, until('CopyInResponse')],
    [...data.map((each) => copyData(each)), COPY_DONE, until('ReadyForQuery')],
  ]
}

/** Rows of every third have no number; spread over the shards. */
const bad = Array.from({ length: 12 }, (_, i) => `${i + 1}\t${i % 3 === 1 ? `x${i}` : i}\ttext ${i}\n`).join(
  '',
)
/** Rows of which those with these numbers are wrong. */
const manyBad = (...wrong: readonly number[]): string =>
  Array.from({ length: 40 }, (_, i) => `${i + 1}\t${wrong.includes(i + 1) ? 'no' : ''}${i + 1}\ttext\n`).join(
    '',
  )

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')

const csv = Array.from(
  { length: 9 },
  (_, i) => `${i + 1},"${i % 4 === 1 ? `x""${i}` : i}","a\nb${i}"\n`,
).join('')

/** `t (id int NOT NULL, n int CHECK (n < 1000), v text DEFAULT 'none')` of each kind. */
const scripts: Readonly<Record<string, readonly Step[]>> = {
  'rows are left out': [
    ...copyIn('COPY t FROM STDIN (ON_ERROR ignore)', bad),
    'SELECT * FROM t ORDER BY id',
    ...copyIn('COPY t FROM STDIN (ON_ERROR ignore)', '1\t2\tfine\n'),
    ...copyIn('COPY t FROM STDIN (ON_ERROR ignore)', '1\tx\tone\n'),
    ...copyIn('COPY t FROM STDIN (ON_ERROR ignore, LOG_VERBOSITY default)', bad),
    ...copyIn('COPY t FROM STDIN (ON_ERROR ignore, LOG_VERBOSITY silent)', bad),
    ...copyIn('COPY t FROM STDIN (ON_ERROR ignore, FORMAT csv)', csv),
    ...copyIn('COPY t (n, id) FROM STDIN (ON_ERROR ignore) WHERE n > 3', '1\t1\nx\t2\n5\t3\n7\tx\n6\t4\n'),
    ...copyIn('COPY t FROM STDIN (ON_ERROR ignore)'),
    'SELECT count(*), sum(n), max(v) FROM t',
    ['COPY t FROM STDIN (ON_ERROR ignore)', copyData('1\tx\tone\n'), COPY_DONE],
  ],
  'each is told': [
    ...copyIn('COPY t FROM STDIN (ON_ERROR ignore, LOG_VERBOSITY verbose)', bad),
    ...copyIn('COPY t FROM STDIN (ON_ERROR ignore, FORMAT csv, LOG_VERBOSITY verbose)', csv),
    ...copyIn('COPY t FROM STDIN (ON_ERROR ignore, LOG_VERBOSITY verbose)', '1\t2\tfine\n'),
    ...copyIn(
      'COPY t FROM STDIN (ON_ERROR ignore, LOG_VERBOSITY verbose)',
      `7\t${'y'.repeat(300)}\tlong\n8\tx\ty\n`,
    ),
    'SELECT count(*), sum(n), max(v) FROM t',
  ],
  'not too many': [
    ...copyIn('COPY t FROM STDIN (ON_ERROR ignore, REJECT_LIMIT 4)', bad),
    ...copyIn('COPY t FROM STDIN (ON_ERROR ignore, REJECT_LIMIT 3)', bad),
    ...copyIn('COPY t FROM STDIN (ON_ERROR ignore, REJECT_LIMIT 1, LOG_VERBOSITY silent)', bad),
    ...copyIn('COPY t FROM STDIN (ON_ERROR ignore, REJECT_LIMIT 4, LOG_VERBOSITY silent)', bad),
    ...copyIn('COPY t FROM STDIN (ON_ERROR ignore, REJECT_LIMIT 4, LOG_VERBOSITY verbose)', bad),
    ...copyIn('COPY t FROM STDIN (ON_ERROR ignore, REJECT_LIMIT 2, FORMAT csv)', csv),
    ...copyIn('COPY t FROM STDIN (ON_ERROR ignore, REJECT_LIMIT 3, FORMAT csv)', csv),
    'SELECT count(*), sum(n) FROM t',
    'COPY t FROM STDIN (REJECT_LIMIT 3)',
    'COPY t FROM STDIN (ON_ERROR ignore, REJECT_LIMIT 0)',
    "COPY t FROM STDIN (ON_ERROR ignore, REJECT_LIMIT 'x')",
    'COPY t FROM STDIN (ON_ERROR nothing)',
    'COPY t FROM STDIN (ON_ERROR ignore, LOG_VERBOSITY loud)',
    'COPY t FROM STDIN (ON_ERROR ignore, FORMAT binary)',
    'COPY t TO STDOUT (ON_ERROR ignore)',
  ],
  'keys that are none': [
    ...copyIn(
      'COPY t FROM STDIN (ON_ERROR ignore)',
      'x\t1\tone\n2\t2\ttwo\n99999999999\t3\tbig\n4\t4\tfour\n',
    ),
    ...copyIn(
      'COPY t FROM STDIN (ON_ERROR ignore, LOG_VERBOSITY verbose)',
      'x\ty\tone\n2\t2\ttwo\n\t3\tempty\n',
    ),
    'SELECT * FROM t ORDER BY id, n',
    ...copyIn('COPY t FROM STDIN (ON_ERROR ignore)', '1\tx\n'),
    ...copyIn('COPY t FROM STDIN (ON_ERROR ignore)', '1\t2\n'),
    ...copyIn('COPY t (n, v, id) FROM STDIN (ON_ERROR ignore)', 'x\n1\ta\t1\n'),
    ...copyIn('COPY t (n, v, id) FROM STDIN (ON_ERROR ignore)', '1\ta\t1\n1\tb\n'),
    ...copyIn('COPY t FROM STDIN (ON_ERROR ignore)', '1\tx\ta\tb\n'),
    'SELECT count(*) FROM t',
  ],
  'other errors are errors': [
    ...copyIn('COPY t FROM STDIN (ON_ERROR ignore)', '1\tx\tone\n2\t1000\ttwo\n'),
    ...copyIn('COPY t FROM STDIN (ON_ERROR ignore)', '\\N\t1\tone\n'),
    ...copyIn('COPY t FROM STDIN', '5\t1\tone\n\\N\t1\ttwo\n'),
    ...copyIn('COPY t (n, v) FROM STDIN', '5\tone\n'),
    ...copyIn('COPY t FROM STDIN (FORMAT csv)', '5,1,one\n,2,two\n'),
    'BEGIN',
    ...copyIn('COPY t FROM STDIN (ON_ERROR ignore)', '1\tx\tone\n2\t2\ttwo\n'),
    'SELECT * FROM t',
    'ROLLBACK',
    'SET client_min_messages = warning',
    ...copyIn('COPY t FROM STDIN (ON_ERROR ignore)', '1\tx\tone\n2\t2\ttwo\n'),
    'SELECT * FROM t',
  ],
  'the default of a column': [
    ...copyIn("COPY t FROM STDIN (DEFAULT 'D')", '1\t1\tD\n2\tD\ttwo\n3\t3\t\\D\n4\t4\tDD\n'),
    ...copyIn("COPY t FROM STDIN (FORMAT csv, DEFAULT '\\D')", '5,\\D,"\\D"\n6,6,\\D\n'),
    'SELECT * FROM t ORDER BY id',
    ...copyIn("COPY t FROM STDIN (DEFAULT 'D')", 'D\t1\tone\n'),
    ...copyIn("COPY t FROM STDIN (DEFAULT 'D')", '1\t1\tone\nD\t1\tone\n'),
    'ALTER TABLE t ADD PRIMARY KEY (id)',
    'ALTER TABLE t ADD COLUMN s serial',
    ...copyIn("COPY t (id, n) FROM STDIN (DEFAULT 'D')", 'D\t1\n'),
    ...copyIn("COPY t (id, n) FROM STDIN (DEFAULT 'D')", '8\t1\nD\t2\n'),
    'SELECT id, n, s > 0 FROM t ORDER BY id',
    "COPY t FROM STDIN (DEFAULT '\\N')",
    "COPY t TO STDOUT (DEFAULT 'D')",
    "COPY t FROM STDIN (FORMAT binary, DEFAULT 'D')",
  ],
  'frozen rows': [
    ...copyIn('COPY t FROM STDIN (FREEZE)', '1\t1\tone\n2\t2\ttwo\n3\t3\tthree\n'),
    'BEGIN; TRUNCATE t',
    ...copyIn('COPY t FROM STDIN (FREEZE)', '1\t1\tone\n2\t2\ttwo\n3\t3\tthree\n4\t4\tfour\n'),
    'COMMIT',
    'SELECT * FROM t ORDER BY id',
    'COPY t TO STDOUT (FREEZE)',
    ...copyIn('COPY t FROM STDIN (FREEZE off)', '5\t1\tone\n'),
  ],
  'the first row that is wrong': [
    ...copyIn('COPY t FROM STDIN', manyBad(5, 9, 17)),
    ...copyIn('COPY t FROM STDIN', manyBad(30, 29, 28, 27, 2)),
    ...copyIn('COPY t FROM STDIN', manyBad(38).replace('\n12\t', '\nx\t')),
    ...copyIn('COPY t FROM STDIN', manyBad(12).replace('\n38\t', '\nx\t')),
    ...copyIn('COPY t FROM STDIN', manyBad(12).replace('\n11\t11\t', '\n11\t2000\t')),
    ...copyIn('COPY t FROM STDIN', manyBad(12).replace('\n11\t11\ttext', '\n11\t11')),
    ...copyIn('COPY t FROM STDIN', manyBad(14).replace('\n13\t', '\n\\N\t')),
    ...copyIn("COPY t FROM STDIN (FORMAT csv, DELIMITER E'\\t')", manyBad(20, 19, 18)),
    ['COPY t FROM STDIN', until('CopyInResponse')],
    [copyData(manyBad(7, 9)), copyFail('no more'), until('ReadyForQuery')],
    'BEGIN',
    ...copyIn('COPY t FROM STDIN', manyBad(5, 6, 7)),
    'SELECT 1',
    'ROLLBACK',
    'SELECT count(*) FROM t',
  ],
  'the first row that is wrong, of those that are numbered': [
    'ALTER TABLE t ADD PRIMARY KEY (id)',
    'ALTER TABLE t ADD COLUMN no serial',
    ...copyIn('COPY t (id, n, v) FROM STDIN', manyBad(5, 9)),
    ...copyIn('COPY t (id, n, v) FROM STDIN', manyBad(12).replace('\n38\t', '\nx\t')),
    ...copyIn('COPY t (id, n, v) FROM STDIN', manyBad(38).replace('\n12\t', '\nx\t')),
    'SELECT count(*) FROM t',
  ],
  'what is said before that': [
    'CREATE TRIGGER told BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION say_row()',
    ...copyIn('COPY t FROM STDIN', manyBad(4, 9)),
    ...copyIn('COPY t FROM STDIN', manyBad(9).replace('\n11\t11\t', '\n11\t2000\t')),
    ...copyIn(
      'COPY t FROM STDIN (ON_ERROR ignore, LOG_VERBOSITY verbose)',
      manyBad(3, 9).replace('\n11\t11\t', '\n11\t2000\t'),
    ),
    'SELECT count(*) FROM t',
  ],
  'another encoding': [
    ...copyIn(
      "COPY t FROM STDIN (ENCODING 'LATIN1')",
      latin1('1\t1\tZoë\n2\t2\tKö'),
      latin1('ln\n3\t3\té\n'),
    ),
    ...copyIn("COPY t FROM STDIN (ENCODING 'latin-1', FORMAT csv)", latin1('4,4,"Ö,ß"\n')),
    ...copyIn(
      "COPY t FROM STDIN ENCODING 'SJIS'",
      Buffer.from('5\t5\t\x95\x5c\x83\x5c\n6\t6\t\x95', 'latin1'),
      Buffer.from('\x5c\n', 'latin1'),
    ),
    ...copyIn("COPY t FROM STDIN (ENCODING 'WIN1252')", Buffer.from('7\t7\t\x80\n8\t8\t\x81\n', 'latin1')),
    ...copyIn("COPY t FROM STDIN (ENCODING 'SJIS')", Buffer.from('7\tx\t\n8\t8\t\x85\x40\n', 'latin1')),
    ...copyIn("COPY t FROM STDIN (ENCODING 'SJIS')", Buffer.from('7\t7\ta\n8\t8\t\x82', 'latin1')),
    ...copyIn("COPY t FROM STDIN (ENCODING 'UTF8')", '9\t9\tü\n'),
    'SELECT * FROM t ORDER BY id',
    'DELETE FROM t WHERE id <> 2',
    "COPY t TO STDOUT (ENCODING 'UTF8', FORMAT csv, HEADER)",
    "COPY t TO STDOUT (ENCODING 'LATIN1')",
    "COPY t TO STDOUT (ENCODING 'WIN1252', FORMAT csv, FORCE_QUOTE *, HEADER)",
    "UPDATE t SET v = 'ab表c'",
    "COPY t TO STDOUT (ENCODING 'SJIS')",
    "COPY t TO STDOUT (ENCODING 'LATIN1')",
    'SELECT count(*) FROM t',
  ],
  'what triggers say': [
    'CREATE TRIGGER told BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION say_row()',
    ...copyIn('COPY t FROM STDIN', '1\t1\tone\n2\t2\ttwo\n3\t3\tthree\n4\t4\tfour\n5\t5\tfive\n'),
    ...copyIn('COPY t FROM STDIN (ON_ERROR ignore, LOG_VERBOSITY verbose)', bad),
    'SELECT count(*) FROM t',
  ],
}

const SAY_ROW = `CREATE FUNCTION say_row() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN RAISE NOTICE 'row %', NEW.id; RETURN NEW; END $$`

describe.each(['sharded', 'reference'])('options of COPY into %s tables', (kind) => {
  const cases = Object.entries(scripts)
    .map(([name, script], i) => ({ name, script, table: `${kind}${i}` }))
    .filter(({ name }) => kind === 'sharded' || !/^what (triggers say|is said)/.test(name))

  beforeAll(async () => {
    const { plainUrl, weftUrl } = cluster.current
    for (const url of [plainUrl, weftUrl]) await query(url, SAY_ROW.replace('CREATE', 'CREATE OR REPLACE'))
    for (const { table } of cases) {
      const ddl = `CREATE TABLE ${table} (id int NOT NULL, n int CHECK (n < 1000), v text DEFAULT 'none')`
      await createTwins(cluster.current, ddl, kind === 'sharded' ? { shard_key: 'id' } : { reference: true })
    }
  })

  test.each(cases)('$name', async ({ script, table }) => {
    await compare(
      cluster.current,
      script.map((step) => withTable(step, table)),
    )
  })
})

function withTable(step: Step, table: string): Step {
  if (typeof step === 'string') return step.replace(/\b(COPY|FROM|ON|TRUNCATE|TABLE) t\b/g, `$1 ${table}`)
  return Array.isArray(step)
    ? (step.map((part) => (typeof part === 'string' ? withTable(part, table) : part)) as Step)
    : step
}
