import psycopg
import dbapi, steps as s

s.version(psycopg.__version__)
connection = psycopg.connect("")


@s.step("connect")
def _():
    return connection.execute("SELECT 1").fetchone()[0]


@s.step("tls")
def _():
    with psycopg.connect("", sslmode="verify-full", sslrootcert=s.ca) as tls:
        return [tls.pgconn.ssl_in_use, tls.execute("SELECT 1").fetchone()[0]]


execute = dbapi.run_all(connection)


@s.step("prepared")
def _():
    text = "SELECT owner, balance, %s::timestamptz, %s::text FROM account WHERE tenant_id = %s"
    seen = []
    for tenant in (1, 2, 3, 1):
        at = f"2026-01-0{tenant} 00:00+00"
        seen += connection.execute(text, (at, None, tenant), prepare=True, binary=tenant == 2).fetchone()
    connection.commit()
    return seen


@s.step("stream")
def _():
    dbapi.fill(execute)
    with connection.cursor("named") as cursor:
        cursor.itersize = 100
        ids = [row[0] for row in cursor.execute("SELECT id FROM account WHERE id > %s ORDER BY id", (100,))]
    with connection.cursor() as cursor:
        single = [row[0] for row in cursor.stream("SELECT id FROM account WHERE id > %s", (100,))]
    connection.commit()
    return [len(ids), sum(ids), len(single), sum(single)]


@s.step("introspection")
def _():
    return [":".join(row) for row in execute(dbapi.COLUMNS).fetchall()]
