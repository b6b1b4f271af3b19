import asyncio, datetime, ssl
import asyncpg

import dbapi, steps as s

INSERT = "INSERT INTO account (tenant_id, id, region, owner, balance) VALUES ($1, $2, $3, $4, $5)"


async def step(name, run):
    try:
        s.said(name, await run())
    except Exception as error:
        s.broke(name, error)


async def failures(*runs):
    states = []
    for run in runs:
        try:
            await run()
            states.append("none")
        except Exception as error:
            states.append(s.sqlstate(error) or repr(error))
    return states


async def main():
    s.version(asyncpg.__version__)
    db = await asyncpg.connect(ssl=False)
    await step("connect", lambda: db.fetchval("SELECT 1"))

    async def tls():
        encrypted = await asyncpg.connect(ssl=ssl.create_default_context(cafile=s.ca))
        one = await encrypted.fetchval("SELECT 1")
        await encrypted.close()
        return one

    async def migrate():
        for text in s.schema + s.declarations:
            await db.execute(text)
        return await db.fetchval("SELECT count(*) FROM account")

    async def crud():
        await db.execute("INSERT INTO region VALUES ('eu', 'Europe'), ('us', 'America')")
        await db.executemany(INSERT, [(tenant, 1, "eu", "ann", 100) for tenant in s.tenants])
        owner = await db.fetchval("SELECT owner FROM account WHERE tenant_id = $1 AND id = $2", 3, 1)
        updated = await db.execute("UPDATE account SET region = 'us' WHERE balance >= $1", 50)
        deleted = await db.execute("DELETE FROM account WHERE tenant_id = $1", 8)
        memo = await db.fetchval("INSERT INTO memo (body) VALUES ($1) RETURNING id", "it's")
        text = "SELECT r.name, count(*) FROM account a JOIN region r ON r.code = a.region GROUP BY r.name"
        return [owner, updated, deleted, memo, *await db.fetchrow(text)]

    async def transfer(fails):
        try:
            async with db.transaction():
                for tenant in range(2, 8):
                    async with db.transaction():
                        await db.execute("UPDATE account SET balance = balance - 10 WHERE tenant_id = 1 AND id = 1")
                    await db.execute("UPDATE account SET balance = balance + 10 WHERE tenant_id = $1 AND id = 1", tenant)
                if fails:
                    raise KeyError("no")
        except KeyError:
            pass
        return [row["balance"] for row in await db.fetch("SELECT balance FROM account ORDER BY tenant_id")]

    async def transaction():
        return await transfer(False) + await transfer(True)

    def errors():
        insert = lambda *row: db.execute(INSERT, *row)
        return failures(
            lambda: insert(1, 1, "eu", "bob", 0),
            lambda: insert(1, 2, "xx", "bob", 0),
            lambda: insert(1, 2, None, "bob", 0),
            lambda: db.execute("SELEC 1"),
        )

    async def prepared():
        text = "SELECT owner, balance, $2::timestamptz, $3::text FROM account WHERE tenant_id = $1"
        statement = await db.prepare(text)
        seen = []
        for tenant in (1, 2, 3, 1):
            at = datetime.datetime(2026, 1, tenant, tzinfo=datetime.timezone.utc)
            seen += (await statement.fetch(tenant, at, None))[0]
        return seen

    async def stream():
        rows = [(i % 7 + 1, 101 + i, "eu", f"o{i}") for i in range(3000)]
        copied = await db.copy_records_to_table(
            "account", records=rows, columns=["tenant_id", "id", "region", "owner"]
        )
        async with db.transaction():
            text = "SELECT id FROM account WHERE id > $1 ORDER BY id"
            ids = [row["id"] async for row in db.cursor(text, 100, prefetch=100)]
        return [copied, len(ids), sum(ids)]

    async def introspection():
        statement = await db.prepare("SELECT * FROM account")
        return [f"{a.name}:{a.type.name}" for a in statement.get_attributes()] + [
            ":".join(row) for row in await db.fetch(dbapi.COLUMNS)
        ]

    await step("tls", tls)
    await step("migrate", migrate)
    await step("crud", crud)
    await step("transaction", transaction)
    await step("errors", errors)
    await step("refusal", lambda: failures(lambda: db.execute(s.refused)))
    await step("prepared", prepared)
    await step("stream", stream)
    await step("introspection", introspection)
    await db.close()


asyncio.run(main())
