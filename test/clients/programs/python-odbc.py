import pyodbc
import dbapi, steps as s

DRIVER = "/usr/lib/x86_64-linux-gnu/odbc/psqlodbcw.so"
server = f"Driver={DRIVER};Server={s.host};Port={s.port};Database={s.database};UID={s.user};PWD={{{s.password}}}"


def connect(*options):
    connection = pyodbc.connect(";".join([server, *options]))
    # It cannot tell whether a column of type text holds one of its "long" ones.
    connection.setdecoding(pyodbc.SQL_WCHAR, encoding="utf-16le")
    return connection


connection = connect("SSLmode=disable")
s.version(connection.getinfo(pyodbc.SQL_DRIVER_VER))


@s.step("connect")
def _():
    return connection.execute("SELECT 1").fetchone()[0]


@s.step("tls")
def _():
    # Its root certificate comes from libpq's environment.
    s.env["PGSSLROOTCERT"] = s.ca
    return connect("SSLmode=verify-full").execute("SELECT 1").fetchone()[0]


execute = dbapi.run_all(connection, "?")


@s.step("prepared")
def _():
    seen = []
    for tenant in (1, 2, 3, 1):
        text = "SELECT owner, balance, CAST(? AS text) FROM account WHERE tenant_id = ?"
        seen += execute(text, (None if tenant == 2 else "it's", tenant)).fetchone()
    connection.commit()
    return seen


@s.step("stream")
def _():
    dbapi.fill(lambda text, values: execute(text % values))
    connection.commit()
    cursor = connect("SSLmode=disable", "UseDeclareFetch=1", "Fetch=100").execute("SELECT id FROM account WHERE id > 100 ORDER BY id")
    ids = [row[0] for row in cursor]
    return [len(ids), sum(ids)]


@s.step("introspection")
def _():
    tables = [row.table_name for row in connection.cursor().tables(schema="public", tableType="TABLE")]
    columns = [f"{c.column_name}:{c.type_name}:{c.is_nullable}" for c in connection.cursor().columns(table="account")]
    keys = [row.column_name for row in connection.cursor().primaryKeys(table="account")]
    foreign = [f"{row.fkcolumn_name}:{row.pktable_name}" for row in connection.cursor().foreignKeys(foreignTable="account")]
    return [*sorted(tables), *columns, *keys, *foreign]
