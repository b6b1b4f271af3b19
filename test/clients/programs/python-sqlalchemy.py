import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session, declarative_base, joinedload, relationship

import steps as s

s.version(sa.__version__)
Base = declarative_base()


class Region(Base):
    __tablename__ = "region"
    code = sa.Column(sa.Text, primary_key=True)
    name = sa.Column(sa.Text, nullable=False)


class Account(Base):
    __tablename__ = "account"
    tenant_id = sa.Column(sa.Integer, primary_key=True, autoincrement=False)
    id = sa.Column(sa.Integer, primary_key=True, autoincrement=False)
    region = sa.Column(sa.Text, sa.ForeignKey("region.code"), nullable=False)
    owner = sa.Column(sa.Text, nullable=False)
    balance = sa.Column(sa.Numeric(12, 2), nullable=False, server_default="0")
    seen = sa.Column(sa.DateTime(timezone=True), index=True)
    place = relationship(Region)
    __table_args__ = (sa.UniqueConstraint("tenant_id", "owner", name="account_owner"),)


class Memo(Base):
    __tablename__ = "memo"
    id = sa.Column(sa.Integer, primary_key=True)
    body = sa.Column(sa.Text)


url = "postgresql+psycopg2://"
engine = sa.create_engine(url)


@s.step("connect")
def _():
    with engine.connect() as connection:
        return connection.execute(sa.text("SELECT 1")).scalar()


@s.step("tls")
def _():
    tls = sa.create_engine(url, connect_args={"sslmode": "verify-full", "sslrootcert": s.ca})
    with tls.connect() as connection:
        return [connection.connection.dbapi_connection.info.ssl_in_use, connection.execute(sa.text("SELECT 1")).scalar()]


def declared():
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for text in s.declarations:
            connection.execute(sa.text(text))


@s.step("migrate")
def _():
    Region.__table__.create(engine)
    with engine.begin() as connection:
        op = Operations(MigrationContext.configure(connection))
        op.create_table("memo", sa.Column("id", sa.Integer, primary_key=True))
    Base.metadata.create_all(engine)
    declared()
    # On sharded tables too.
    with engine.begin() as connection:
        op = Operations(MigrationContext.configure(connection))
        op.add_column("memo", sa.Column("body", sa.Text))
        op.add_column("account", sa.Column("extra", sa.Integer))
        op.alter_column("account", "extra", type_=sa.BigInteger)
    with engine.begin() as connection:
        Operations(MigrationContext.configure(connection)).drop_column("account", "extra")
        return [len(compare_metadata(MigrationContext.configure(connection), Base.metadata))]


@s.step("crud")
def _():
    with Session(engine) as session:
        session.add_all([Region(code="eu", name="Europe"), Region(code="us", name="America")])
        session.add_all([Account(tenant_id=t, id=1, region="eu", owner="ann", balance=100) for t in s.tenants])
        session.commit()
        owner = session.get(Account, (3, 1)).owner
        found = session.query(Account).options(joinedload(Account.place)).filter_by(tenant_id=3).one()
        updated = session.query(Account).filter(Account.balance >= 50).update({"region": "us"})
        deleted = session.query(Account).filter_by(tenant_id=8).delete()
        memo = Memo(body="it's")
        session.add(memo)
        session.flush()
        statement = upsert(Account).values(tenant_id=1, id=1, region="us", owner="ann", balance=100)
        session.execute(statement.on_conflict_do_update(index_elements=["tenant_id", "id"], set_={"region": "us"}))
        joined = session.query(Region.name, sa.func.count()).join(Account).group_by(Region.name).one()
        session.commit()
        return [owner, found.place.name, updated, deleted, memo.id, *joined]


def transfer(end):
    with Session(engine) as session:
        first = session.get(Account, (1, 1), with_for_update=True)
        for other in session.query(Account).filter(Account.id == 1, Account.tenant_id > 1).all():
            with session.begin_nested():
                other.balance += 10
            first.balance -= 10
        session.flush()
        end(session)
        return list(session.scalars(sa.select(Account.balance).order_by(Account.tenant_id)))


@s.step("transaction")
def _():
    return transfer(Session.commit) + transfer(Session.rollback)


def insert(**row):
    with engine.begin() as connection:
        connection.execute(sa.insert(Account).values({"tenant_id": 1, "id": 2, "region": "eu", "owner": "bob", **row}))


def execute(text):
    with engine.begin() as connection:
        connection.exec_driver_sql(text)


@s.step("errors")
def _():
    return s.failures(
        lambda: insert(id=1),
        lambda: insert(region="xx"),
        lambda: insert(region=None),
        lambda: execute("SELEC 1"),
    )


@s.step("refusal")
def _():
    return s.failures(lambda: execute(s.refused))


s.none("prepared", "psycopg2 puts the values into the text")


@s.step("stream")
def _():
    with engine.begin() as connection:
        rows = [{"tenant_id": i % 7 + 1, "id": 101 + i, "region": "eu", "owner": f"o{i}"} for i in range(3000)]
        connection.execute(sa.insert(Account), rows)
    with engine.connect().execution_options(stream_results=True, max_row_buffer=100) as connection:
        ids = [row.id for row in connection.execute(sa.select(Account.id).where(Account.id > 100).order_by(Account.id))]
        return [len(ids), sum(ids)]


@s.step("introspection")
def _():
    inspector = sa.inspect(engine)
    columns = [f"{c['name']}:{c['type']}:{c['nullable']}:{c['default']}" for c in inspector.get_columns("account")]
    keys = inspector.get_foreign_keys("account"), inspector.get_pk_constraint("account")
    indexes = sorted(f"{i['name']}:{i['unique']}" for i in inspector.get_indexes("account"))
    return [*sorted(inspector.get_table_names()), *columns, str(keys), *indexes]
