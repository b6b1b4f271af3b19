import psycopg2
import dbapi, steps as s

s.version(psycopg2.__version__)
connection = psycopg2.connect("")


@s.step("connect")
def _():
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        return cursor.fetchone()[0]


@s.step("tls")
def _():
    tls = psycopg2.connect("", sslmode="verify-full", sslrootcert=s.ca)
    with tls.cursor() as cursor:
        cursor.execute("SELECT 1")
        return [tls.info.ssl_in_use, cursor.fetchone()[0]]


execute = dbapi.run_all(connection)
s.none("prepared", "it puts the values into the text")


@s.step("stream")
def _():
    dbapi.fill(execute)
    cursor = connection.cursor("named")
    cursor.itersize = 100
    cursor.execute("SELECT id FROM account WHERE id > %s ORDER BY id", (100,))
    ids = [row[0] for row in cursor]
    connection.commit()
    return [len(ids), sum(ids)]


@s.step("introspection")
def _():
    return [":".join(row) for row in execute(dbapi.COLUMNS).fetchall()]
