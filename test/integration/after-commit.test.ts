import { afterEach, expect, test, vi } from 'vitest'
import { CatalogStore } from '../../coordinator/catalog/store.ts'
import { weftError } from '../../errors/catalog.ts'
import { useAccounts } from '../helpers/accounts.ts'

const accounts = useAccounts({ logLevel: 'error' })

afterEach(() => {
  vi.restoreAllMocks()
})

/** As the consistency suite saw it: home fails over between the commit of an ALTER TABLE and what follows it. */
test.each(['by itself', 'in a block'])(
  'a change of tables %s has committed, and home is lost before this node has read it: the client is told of the commit',
  async (how) => {
    const session = await accounts.connect()
    const column = `told_${how.replaceAll(' ', '_')}`
    const reload = vi.spyOn(CatalogStore.prototype, 'reload')
    reload.mockRejectedValue(weftError('backend_lost', { shard: 0, why: 'the peer closed the connection' }))
    const block = how === 'in a block'
    if (block) await session.query('BEGIN')
    await session.query(`ALTER TABLE account ADD COLUMN ${column} int DEFAULT 1`)
    if (block) await session.query('COMMIT')
    expect(reload).toHaveBeenCalled()
    // It is read when an agent says that there is a newer one.
    reload.mockRestore()
    const { rows } = await session.query(`SELECT sum(${column})::int AS sum FROM account`)
    expect(rows).toEqual([{ sum: 60 }])
    await accounts.quiet()
  },
)
