/** The lines of the table: what is measured, with which clients, on which tables. A new line is one more entry here. */

import type { CopyIn } from './copy-in.ts'

export type Mode = 'simple' | 'prepared'

/** Tables that belong together and are loaded together. */
export type DataSet = 'accounts' | 'tpcb' | 'measures' | 'readings'

/** What scripts need to know of the loaded tables. */
export interface Keys {
  /** pgbench_accounts.aid is 1 to this. */
  readonly accounts: number
  /** tpcb_branches.bid is 1 to this. */
  readonly branches: number
  /** Accounts of which the two of a pair lie on different shards; no account is in two pairs. */
  readonly pairs: readonly (readonly [number, number])[]
}

export interface Line {
  readonly name: string
  readonly data: DataSet
  readonly modes: readonly Mode[]
  readonly clients: readonly number[]
  /** Whatever clients are asked for. */
  readonly isOneAtATime?: boolean
  readonly script: (keys: Keys) => string
  /** Runs this in place of the script, of as many rows as there are accounts: rows are counted. */
  readonly copyIn?: CopyIn
}

export const tellersPerBranch = 10
export const accountsPerBranch = 100

const both: readonly Mode[] = ['simple', 'prepared']

/** pgbench passes at most 255 parameters. */
const ROWS_INSERTED = 100
/** Of a range of the shard key, by its index: some on every shard. */
const ROWS_READ = 200

export const lines: readonly Line[] = [
  {
    name: 'point select',
    data: 'accounts',
    modes: both,
    clients: [1, 8, 32],
    script: ({ accounts }) => `\\set aid random(1, ${accounts})
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
`,
  },
  {
    name: 'point update',
    data: 'accounts',
    modes: both,
    clients: [1, 8, 32],
    script: ({ accounts }) => `\\set aid random(1, ${accounts})
\\set delta random(-5000, 5000)
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
`,
  },
  {
    name: 'transfer',
    data: 'accounts',
    modes: both,
    clients: [1, 8, 32],
    script: ({ pairs }) => `${choosePair(pairs)}
\\set delta random(-5000, 5000)
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance - :delta WHERE aid = :a;
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :b;
COMMIT;
`,
  },
  {
    name: 'TPC-B, one key',
    data: 'tpcb',
    modes: ['simple'],
    clients: [32],
    script: ({ branches }) => `\\set bid random(1, ${branches})
\\set aid random(1, ${accountsPerBranch})
\\set tid random(1, ${tellersPerBranch})
\\set delta random(-5000, 5000)
BEGIN;
UPDATE tpcb_accounts SET abalance = abalance + :delta WHERE bid = :bid AND aid = :aid;
SELECT abalance FROM tpcb_accounts WHERE bid = :bid AND aid = :aid;
UPDATE tpcb_tellers SET tbalance = tbalance + :delta WHERE bid = :bid AND tid = :tid;
UPDATE tpcb_branches SET bbalance = bbalance + :delta WHERE bid = :bid;
INSERT INTO tpcb_history (bid, tid, aid, delta, mtime) VALUES (:bid, :tid, :aid, :delta, CURRENT_TIMESTAMP);
END;
`,
  },
  {
    name: 'small read over shards',
    data: 'accounts',
    modes: ['simple'],
    clients: [1, 8, 32],
    script: ({ accounts }) => `\\set aid random(1, ${accounts - ROWS_READ})
SELECT count(*) FROM pgbench_accounts WHERE aid BETWEEN :aid AND :aid + ${ROWS_READ - 1};
`,
  },
  {
    name: `insert of ${ROWS_INSERTED} rows`,
    data: 'readings',
    modes: both,
    clients: [8],
    script: insertOfRows,
  },
  {
    name: 'count and sum',
    data: 'accounts',
    modes: ['simple'],
    clients: [8],
    script: () => 'SELECT count(*), sum(abalance) FROM pgbench_accounts;\n',
  },
  overMeasures(
    'GROUP BY of 100 groups',
    'SELECT grp, count(*), sum(val), avg(val) FROM measures GROUP BY grp',
  ),
  overMeasures('ORDER BY LIMIT 10', 'SELECT id, val FROM measures ORDER BY val LIMIT 10'),
  overMeasures(
    'colocated join, grouped',
    'SELECT grp, count(*), sum(n) FROM measures m JOIN details d ON d.id = m.id GROUP BY grp',
  ),
  overMeasures(
    'join off the key, of a tenth',
    'SELECT label, count(*), sum(val) FROM measures m JOIN labels l ON l.code = m.ref GROUP BY label',
  ),
  overMeasures(
    'INSERT SELECT, colocated',
    'TRUNCATE copies;\nINSERT INTO copies SELECT id, grp, val FROM measures',
  ),
  {
    ...overMeasures('COPY in, rows', ''),
    copyIn: { table: 'copies', row: (n) => `${n}\t${n % 100}\t${(n * 7919) % 1_000_003}` },
  },
]

/** Reads of whole tables, one at a time: what counts is how long one takes. */
function overMeasures(name: string, sql: string): Line {
  const alone = { clients: [1], isOneAtATime: true }
  return { name, data: 'measures', modes: ['simple'], ...alone, script: () => `${sql};\n` }
}

/** Rows of one statement, each of a device of its own: they belong to all shards. */
function insertOfRows(): string {
  const rows = Array.from({ length: ROWS_INSERTED }, (_, i) => i)
  return `${rows.map((i) => `\\set d${i} random(1, 1000000000)`).join('\n')}
\\set value random(1, 1000)
INSERT INTO readings (device, value, note) VALUES ${rows.map((i) => `(:d${i}, :value, 'as measured')`).join(', ')};
`
}

/** Above every aid: a pair travels as one integer, a * pairBase + b. */
const pairBase = 1_000_000_000

/**
 * pgbench has no arrays: a pair is looked up in a tree of CASE expressions, a dozen comparisons (1 or 2 µs) in pgbench
 * itself, so that the servers see nothing but the transfer.
 */
function choosePair(pairs: readonly (readonly [number, number])[]): string {
  const tree = (from: number, to: number): string => {
    if (to - from === 1) return String(pairs[from]![0] * pairBase + pairs[from]![1])
    const middle = (from + to) >> 1
    return `CASE WHEN :i < ${middle} THEN ${tree(from, middle)} ELSE ${tree(middle, to)} END`
  }
  return `\\set i random(0, ${pairs.length - 1})
\\set pair ${tree(0, pairs.length)}
\\set a :pair / ${pairBase}
\\set b :pair % ${pairBase}`
}

/** One row of the table: a line in one mode with one number of clients. */
export interface Case {
  readonly label: string
  readonly line: Line
  readonly mode: Mode
  readonly clients: number
}

export function selectCases(only: RegExp | undefined, clients: readonly number[] | undefined): Case[] {
  return lines
    .flatMap((line) =>
      line.modes.flatMap((mode) =>
        (line.isOneAtATime === true ? line.clients : (clients ?? line.clients)).map((count) => ({
          label: `${line.name}, ${mode}, ${count} clients`,
          line,
          mode,
          clients: count,
        })),
      ),
    )
    .filter(({ label }) => only === undefined || only.test(label))
}
