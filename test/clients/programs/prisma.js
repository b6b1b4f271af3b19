import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PrismaPg } from '@prisma/adapter-pg'
import * as s from './steps.js'

s.version('@prisma/client')
const here = dirname(fileURLToPath(import.meta.url))
const made = join(here, '../node_modules/.weft-prisma')
// Its client is generated. The engine for migrations, which no package has, is not asked for anything there.
if (!existsSync(join(made, 'index.js'))) {
  const cli = join(here, '../node_modules/prisma/build/index.js')
  const env = { ...process.env, PRISMA_SCHEMA_ENGINE_BINARY: process.execPath, CHECKPOINT_DISABLE: '1' }
  spawnSync(process.execPath, [cli, 'generate', '--schema', join(here, 'schema.prisma')], {
    env,
    stdio: 'ignore',
  })
}
const { PrismaClient } = createRequire(import.meta.url)(made)
const open = (ssl) => new PrismaClient({ adapter: new PrismaPg({ connectionString: s.url, max: 3, ssl }) })
const db = open(false)
const one = async (on) => (await on.$queryRaw`SELECT 1 AS one`)[0].one
/** The SQLSTATE below what Prisma makes of it (`P2002`, …). */
const state = (error) => {
  const cause = error.meta?.driverAdapterError?.cause ?? error.cause
  throw Object.assign(error, { code: cause?.originalCode ?? error.meta?.code ?? error.code })
}
await s.step('connect', () => one(db))
await s.step('tls', async () => {
  const tls = open({ ca: s.ca })
  const seen = await one(tls)
  await tls.$disconnect()
  return seen
})
await s.step('migrate', async () => {
  for (const text of [...s.schema, ...s.declarations]) await db.$executeRawUnsafe(text)
  return db.account.count()
})
await s.step('crud', async () => {
  await db.region.createMany({
    data: [
      { code: 'eu', name: 'Europe' },
      { code: 'us', name: 'America' },
    ],
  })
  const rows = s.tenants.map((tenant_id) => ({ tenant_id, id: 1, region: 'eu', owner: 'ann', balance: 100 }))
  await db.account.createMany({ data: rows })
  const key = (tenant_id) => ({ tenant_id_id: { tenant_id, id: 1 } })
  const found = await db.account.findUniqueOrThrow({ where: key(3), include: { place: true } })
  const updated = await db.account.updateMany({ where: { balance: { gte: 50 } }, data: { region: 'us' } })
  const deleted = await db.account.deleteMany({ where: { tenant_id: 8 } })
  const memo = await db.memo.create({ data: { body: "it's" } })
  const grouped = await db.account.groupBy({ by: ['region'], _count: true, _sum: { balance: true } })
  const upsert = await db.account.upsert({ where: key(1), create: rows[0], update: { balance: 100 } })
  const region = await db.region.findFirst({ where: { accounts: { some: {} } }, include: { accounts: true } })
  const counted = [grouped[0].region, grouped[0]._count, grouped[0]._sum.balance]
  return [
    found.owner,
    found.place.name,
    updated.count,
    deleted.count,
    memo.id,
    ...counted,
    upsert.region,
    region.accounts.length,
  ]
})
const transfer = async (end) => {
  const done = db.$transaction(
    async (tx) => {
      const add = (tenant_id, amount) =>
        tx.account.update({
          where: { tenant_id_id: { tenant_id, id: 1 } },
          data: { balance: { increment: amount } },
        })
      for (const tenant of [2, 3, 4, 5, 6, 7]) {
        await add(1, -10)
        await add(tenant, 10)
      }
      if (end === 'rollback') throw new Error('no')
    },
    { timeout: 60_000, maxWait: 60_000 },
  )
  await done.catch((error) => {
    if (error.message !== 'no') throw error
  })
  const rows = await db.account.findMany({ orderBy: { tenant_id: 'asc' } })
  return rows.map(({ balance }) => balance.toFixed(2))
}
await s.step('transaction', async () => [...(await transfer('commit')), ...(await transfer('rollback'))])
await s.step('errors', () => {
  const insert = (row) =>
    db.account.create({ data: { tenant_id: 1, id: 2, region: 'eu', owner: 'bob', ...row } }).catch(state)
  return s.failures(
    () => insert({ id: 1 }),
    () => insert({ region: 'xx' }),
    () =>
      db.$executeRaw`INSERT INTO account (tenant_id, id, region, owner) VALUES (1, 2, NULL, 'bob')`.catch(
        state,
      ),
    () => db.$executeRaw`SELEC 1`.catch(state),
  )
})
await s.step('refusal', () => s.failures(() => db.$executeRawUnsafe(s.refused).catch(state)))
s.none('prepared', 'its adapter names no statements; each is sent with parameters')
await s.step('stream', async () => {
  const data = Array.from({ length: 3000 }, (_, i) => ({
    tenant_id: (i % 7) + 1,
    id: 101 + i,
    region: 'eu',
    owner: `o${i}`,
  }))
  await db.account.createMany({ data })
  let [count, cursor] = [0, undefined]
  for (;;) {
    const from = cursor === undefined ? {} : { cursor, skip: 1 }
    const rows = await db.account.findMany({
      take: 500,
      orderBy: [{ tenant_id: 'asc' }, { id: 'asc' }],
      ...from,
    })
    if (rows.length === 0) return count
    count += rows.length
    const { tenant_id, id } = rows.at(-1)
    cursor = { tenant_id_id: { tenant_id, id } }
  }
})
s.none(
  'introspection',
  'its engine for this, and for migrations, is downloaded: no package has it, and no such download was possible',
)
await db.$disconnect()
