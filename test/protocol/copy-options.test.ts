import { beforeAll, describe, test } from 'vitest'
import { COPY_DONE, copyData } from '../../protocol/wire/frontend-messages.ts'
import { createTwins, useTestCluster } from '../helpers/cluster.ts'
import { query } from '../helpers/postgres.ts'
import { compare, type Step, until } from '../helpers/wire-script.ts'

const cluster = useTestCluster()

function copyIn(sql: string, ...data: readonly string[]): Step[] {
  return [
    [sql, until('CopyInResponse')],
    [...data.map((each) => copyData(each)), COPY_DONE, until('ReadyForQuery')],
  ]
}

/** Rows of every third have no number; spread over the shards. */
const bad = Array.from({ length: 12 }, (_, i) => `${i + 1}\t${i % 3 === 1 ? `x${i}` : i}\ttext ${i}\n`).join(
  '',
)
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
    .filter(({ name }) => kind === 'sharded' || name !== 'what triggers say')

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
  if (typeof step === 'string') return step.replace(/\b(COPY|FROM|ON|TRUNCATE) t\b/g, `$1 ${table}`)
  return Array.isArray(step)
    ? (step.map((part) => (typeof part === 'string' ? withTable(part, table) : part)) as Step)
    : step
}
