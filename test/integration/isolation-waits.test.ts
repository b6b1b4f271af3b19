import { describe, expect, it } from 'vitest'
import { cancel, codeOf, lockWaiters, useAccounts } from '../helpers/accounts.ts'

const accounts = useAccounts()

describe('reads over all shards, and writes that wait', () => {
  it('a write that waits for a row lock keeps no read waiting, and goes through when it gets the lock', async () => {
    const id = accounts.on(1)
    const [locker, writer, reader] = [
      await accounts.connect(),
      await accounts.connect(),
      await accounts.connect(),
    ]
    for (const [sql, params] of [
      [`UPDATE account SET amount = amount + 1 WHERE id = ${id}`, undefined],
      ['UPDATE account SET amount = amount + 1 WHERE id = $1', [id]],
      [`UPDATE account SET amount = amount + 1 WHERE id = ${id} RETURNING amount`, undefined],
    ] as const) {
      await locker.query('BEGIN')
      await locker.query(`UPDATE account SET amount = amount - 1 WHERE id = ${id}`)
      const write = writer.query(sql, params === undefined ? undefined : [...params])
      await lockWaiters(accounts, 1, 1)
      for (let i = 0; i < 5; i++) {
        expect((await reader.query('SELECT count(*)::int AS n FROM account')).rows).toEqual([{ n: 60 }])
      }
      await locker.query('COMMIT')
      expect((await write).rowCount).toBe(1)
    }
    const left = await reader.query(`SELECT amount FROM account WHERE id = ${id}`)
    expect(left.rows).toEqual([{ amount: 100 }])
  })

  it('such a write that its client cancels is not run', async () => {
    const id = accounts.on(2)
    const [locker, writer, reader] = [
      await accounts.connect(),
      await accounts.connect(),
      await accounts.connect(),
    ]
    await locker.query('BEGIN')
    await locker.query(`UPDATE account SET amount = amount - 1 WHERE id = ${id}`)
    const write = codeOf(writer.query(`UPDATE account SET amount = 0 WHERE id = ${id}`))
    await lockWaiters(accounts, 2, 1)
    await reader.query('SELECT count(*) FROM account')
    await cancel(accounts, writer)
    expect(await write).toBe('57014')
    await locker.query('ROLLBACK')
    expect((await reader.query(`SELECT amount FROM account WHERE id = ${id}`)).rows).toEqual([
      { amount: 100 },
    ])
  })
})
