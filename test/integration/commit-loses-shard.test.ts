import { expect, test, vi } from 'vitest'
import { codeOf, useAccounts } from '../helpers/accounts.ts'
import { query } from '../helpers/postgres.ts'

const accounts = useAccounts()

/** The backend of the block that is open on a shard. */
async function backendOf(shard: number): Promise<number> {
  const rows = await accounts.direct<{ pid: number }>(
    shard,
    "SELECT pid FROM pg_stat_activity WHERE state = 'idle in transaction' AND backend_type = 'client backend'",
  )
  expect(rows).toHaveLength(1)
  return rows[0]!.pid
}

test('a shard is lost at COMMIT while another has not answered: nothing of the block is left in the session', async () => {
  const session = await accounts.connect()
  await session.query('BEGIN')
  await session.query('SELECT count(*) FROM account')
  const [lost, slow] = [await backendOf(0), await backendOf(1)]
  for (const pid of [lost, slow]) process.kill(pid, 'SIGSTOP')
  let told: string | undefined
  const ended = codeOf(session.query('COMMIT')).then((code) => {
    told = code
  })
  try {
    // The COMMIT has gone on its way ahead of these.
    for (let i = 0; i < 3; i++) await query(accounts.cluster.weftUrl, 'SELECT 1')
    process.kill(lost, 'SIGTERM')
    process.kill(lost, 'SIGCONT')
    await vi.waitFor(async () =>
      expect(await accounts.direct(0, `SELECT FROM pg_stat_activity WHERE pid = ${lost}`)).toEqual([]),
    )
    expect(told).toBeUndefined()
  } finally {
    process.kill(slow, 'SIGCONT')
  }
  await ended
  expect(told).not.toBe('ok')
  await session.query(`UPDATE account SET amount = 7 WHERE id = ${accounts.on(1)}`)
  const [row] = await query(
    accounts.cluster.weftUrl,
    `SELECT amount FROM account WHERE id = ${accounts.on(1)}`,
  )
  expect(row).toEqual({ amount: 7 })
  await accounts.quiet()
})
