"""Steps of the drivers that follow Python's DB-API: they differ in how parameters are written."""
import steps as s

COLUMNS = """SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns
    WHERE table_schema = 'public' ORDER BY table_name, ordinal_position"""
INSERT = "INSERT INTO account (tenant_id, id, region, owner, balance) VALUES (%s, %s, %s, %s, %s)"


def run_all(connection, mark="%s"):
    """From `migrate` to `refusal`, on a connection that is not in autocommit."""

    def execute(text, values=()):
        cursor = connection.cursor()
        cursor.execute(text.replace("%s", mark), values) if values else cursor.execute(text)
        return cursor

    def undone(text, values=()):
        try:
            execute(text, values)
        finally:
            connection.rollback()

    def balances():
        return [row[0] for row in execute("SELECT balance FROM account ORDER BY tenant_id").fetchall()]

    def transfer(end):
        for tenant in range(2, 8):
            execute("UPDATE account SET balance = balance - 10 WHERE tenant_id = 1 AND id = 1")
            execute("UPDATE account SET balance = balance + 10 WHERE tenant_id = %s AND id = 1", (tenant,))
        end()
        return balances()

    @s.step("migrate")
    def _():
        for text in s.schema + s.declarations:
            execute(text)
            connection.commit()
        return execute("SELECT count(*) FROM account").fetchone()[0]

    @s.step("crud")
    def _():
        execute("INSERT INTO region VALUES ('eu', 'Europe'), ('us', 'America')")
        rows = [(tenant, 1, "eu", "ann", 100) for tenant in s.tenants]
        connection.cursor().executemany(INSERT.replace("%s", mark), rows)
        owner = execute("SELECT owner FROM account WHERE tenant_id = %s AND id = %s", (3, 1)).fetchone()[0]
        updated = execute("UPDATE account SET region = 'us' WHERE balance >= %s", (50,)).rowcount
        deleted = execute("DELETE FROM account WHERE tenant_id = %s", (8,)).rowcount
        memo = execute("INSERT INTO memo (body) VALUES (%s) RETURNING id", ("it's",)).fetchone()[0]
        connection.commit()
        joined = execute(
            "SELECT r.name, count(*) FROM account a JOIN region r ON r.code = a.region GROUP BY r.name"
        ).fetchone()
        return [owner, updated, deleted, memo, *joined]

    @s.step("transaction")
    def _():
        return transfer(connection.commit) + transfer(connection.rollback)

    connection.rollback()

    @s.step("errors")
    def _():
        insert = "INSERT INTO account (tenant_id, id, region, owner) VALUES (%s, %s, %s, %s)"
        return s.failures(
            lambda: undone(insert, (1, 1, "eu", "bob")),
            lambda: undone(insert, (1, 2, "xx", "bob")),
            lambda: undone(insert, (1, 2, None, "bob")),
            lambda: undone("SELEC 1"),
        )

    @s.step("refusal")
    def _():
        return s.failures(lambda: undone(s.refused))

    return execute


def fill(execute):
    """3000 rows for what is streamed."""
    execute(
        "INSERT INTO account (tenant_id, id, region, owner)"
        " SELECT mod(i, 7) + 1, 100 + i, 'eu', 'o' || i FROM generate_series(1, %s) i",
        (3000,),
    )
