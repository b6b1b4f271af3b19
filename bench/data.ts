import { accountsPerBranch, type DataSet, type Keys, tellersPerBranch } from './lines.ts'
import type { Target } from './pgbench.ts'
import { withClient } from './system.ts'

const accountsPerScale = 100_000
const branchesPerScale = 100
const pairsMax = 4096

export interface Sizes {
  readonly accounts: number
  readonly branches: number
}

export function sizesOf(scale: number): Sizes {
  return { accounts: scale * accountsPerScale, branches: scale * branchesPerScale }
}

/** Creates and fills the tables; with `sharded` they are declared so, and nothing else differs. */
export async function load(set: DataSet, target: Target, sizes: Sizes, sharded: boolean): Promise<void> {
  const statements = STATEMENTS[set](sizes, sharded)
  await withClient(target, async (client) => {
    for (const statement of statements) await client.query(statement)
  })
}

/** As `pgbench -i` makes it. */
function accountStatements({ accounts }: Sizes, sharded: boolean): string[] {
  return [
    `CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84))
      WITH (fillfactor = 100)`,
    ...(sharded ? [`SELECT create_distributed_table('pgbench_accounts', 'aid')`] : []),
    ...ranges(accounts, accountsPerScale).map(
      ([from, to]) =>
        `INSERT INTO pgbench_accounts SELECT g, (g - 1) / ${accountsPerScale} + 1, 0, ''
          FROM generate_series(${from}, ${to}) g`,
    ),
  ]
}

/**
 * TPC-B as the benchmarks of sharded databases have it: every table has the branch in its key, so that a transaction
 * stays in one branch. Many small branches: with the ten of scale 10, clients would measure each other's row locks.
 */
function tpcbStatements({ branches }: Sizes, sharded: boolean): string[] {
  const distribute = (table: string, more: string): string =>
    `SELECT create_distributed_table('${table}', 'bid'${more})`
  const withFirst = `, colocate_with => 'tpcb_branches'`
  const each = (count: number): string =>
    `FROM generate_series(1, ${branches}) b, generate_series(1, ${count}) n`
  return [
    'CREATE TABLE tpcb_branches (bid int PRIMARY KEY, bbalance int, filler char(88))',
    'CREATE TABLE tpcb_tellers (bid int, tid int, tbalance int, filler char(84), PRIMARY KEY (bid, tid))',
    'CREATE TABLE tpcb_accounts (bid int, aid int, abalance int, filler char(84), PRIMARY KEY (bid, aid))',
    `CREATE TABLE tpcb_history (bid int, tid int, aid int, delta int, mtime timestamp, filler char(22))`,
    ...(sharded
      ? [
          distribute('tpcb_branches', ''),
          ...['tpcb_tellers', 'tpcb_accounts', 'tpcb_history'].map((table) => distribute(table, withFirst)),
        ]
      : []),
    `INSERT INTO tpcb_branches SELECT b, 0, '' FROM generate_series(1, ${branches}) b`,
    `INSERT INTO tpcb_tellers SELECT b, n, 0, '' ${each(tellersPerBranch)}`,
    `INSERT INTO tpcb_accounts SELECT b, n, 0, '' ${each(accountsPerBranch)}`,
  ]
}

/** As many measures as accounts, a detail of each, and labels for a tenth of them that are sharded by something else. */
function measureStatements({ accounts }: Sizes, sharded: boolean): string[] {
  const distribute = (table: string, key: string, more = ''): string[] =>
    sharded ? [`SELECT create_distributed_table('${table}', '${key}'${more})`] : []
  const apart = `, colocate_with => 'none'`
  return [
    'CREATE TABLE measures (id int PRIMARY KEY, grp int, val int, ref int, filler char(40))',
    ...distribute('measures', 'id'),
    'CREATE TABLE details (id int PRIMARY KEY, n int)',
    ...distribute('details', 'id', `, colocate_with => 'measures'`),
    'CREATE TABLE copies (id int PRIMARY KEY, grp int, val int)',
    ...distribute('copies', 'id', `, colocate_with => 'measures'`),
    'CREATE TABLE labels (code int PRIMARY KEY, label int)',
    ...distribute('labels', 'code', apart),
    ...ranges(accounts, accountsPerScale).flatMap(([from, to]) => [
      `INSERT INTO measures SELECT g, g % 100, g::bigint * 7919 % 1000003, g % ${accounts / 10}, ''
        FROM generate_series(${from}, ${to}) g`,
      `INSERT INTO details SELECT g, g % 7 FROM generate_series(${from}, ${to}) g`,
    ]),
    `INSERT INTO labels SELECT g, g % 50 FROM generate_series(0, ${accounts / 10 - 1}) g`,
  ]
}

/** What is written is looked at by nobody: no index. */
function readingStatements(_: Sizes, sharded: boolean): string[] {
  return [
    'CREATE TABLE readings (device int NOT NULL, value int, note text)',
    ...(sharded ? [`SELECT create_distributed_table('readings', 'device')`] : []),
  ]
}

const STATEMENTS: Readonly<Record<DataSet, (sizes: Sizes, sharded: boolean) => string[]>> = {
  accounts: accountStatements,
  tpcb: tpcbStatements,
  measures: measureStatements,
  readings: readingStatements,
}

function ranges(total: number, step: number): [number, number][] {
  const count = Math.ceil(total / step)
  return Array.from({ length: count }, (_, i) => [i * step + 1, Math.min(total, (i + 1) * step)])
}

/** One server's way of writing to disk must not fall into another's measurement: no checkpoint during the run. */
const noCheckpoints = [
  `ALTER SYSTEM SET checkpoint_timeout = '1h'`,
  `ALTER SYSTEM SET max_wal_size = '16GB'`,
  'SELECT pg_reload_conf()',
]

/** Fresh statistics, visibility maps set, nothing left to write: every server begins alike. */
export async function settle(serverUrls: readonly string[]): Promise<void> {
  await Promise.all(
    serverUrls.map((url) =>
      withClient(url, async (client) => {
        for (const statement of [...noCheckpoints, 'VACUUM ANALYZE', 'CHECKPOINT'])
          await client.query(statement)
      }),
    ),
  )
}

/** About the rows of a page. */
const rowsPerPage = 61

/**
 * After a checkpoint the first change to a page puts the whole page into the write-ahead log. One row of each page is
 * changed beforehand: else whoever is slower would pay for more of them in each transaction.
 */
export async function touchPages(target: Target): Promise<void> {
  await withClient(target, (client) =>
    client.query(`UPDATE pgbench_accounts SET abalance = abalance WHERE aid % ${rowsPerPage} = 0`),
  )
}

/**
 * Pairs of accounts for transfers. The servers themselves are asked what they hold, so a pair lies on two different ones
 * whatever Weft's idea of the slots; with one server it is any two accounts.
 */
export async function findPairs(serverUrls: readonly string[], sizes: Sizes): Promise<Keys['pairs']> {
  const pairCount = Math.min(pairsMax, Math.floor(sizes.accounts / 8))
  const each = Math.ceil((2 * pairCount) / serverUrls.length) + 1
  const held = await Promise.all(serverUrls.map((url) => someAccounts(url, each)))
  return pairUp(held, pairCount)
}

async function someAccounts(url: string, count: number): Promise<number[]> {
  return withClient(url, async (client) => {
    const { rows } = await client.query<{ aid: number }>(
      // Spread over the table, the same ones every time.
      'SELECT aid FROM pgbench_accounts ORDER BY hashint4(aid # 123456), aid LIMIT $1',
      [count],
    )
    return rows.map(({ aid }) => aid)
  })
}

/** Neighbours in turn (0 and 1, 1 and 2, ..., last and 0), each account at most once. */
export function pairUp(held: readonly (readonly number[])[], count: number): [number, number][] {
  const used = held.map(() => 0)
  const take = (server: number): number => {
    const account = held[server]?.[used[server]!++]
    if (account === undefined) throw new Error(`server ${server} holds too few rows of pgbench_accounts`)
    return account
  }
  return Array.from({ length: count }, (_, i) => [take(i % held.length), take((i + 1) % held.length)])
}
