import django
from django.conf import settings

import steps as s

s.version(django.get_version())


def server(**options):
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": s.database,
        "USER": s.user,
        "PASSWORD": s.password,
        "HOST": s.host,
        "PORT": s.port,
        "OPTIONS": options,
    }


settings.configure(
    INSTALLED_APPS=[],
    DATABASES={"default": server(), "tls": server(sslmode="verify-full", sslrootcert=s.ca)},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
)
django.setup()
from django.db import connection, connections, migrations, models, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.state import ModelState, ProjectState


class Region(models.Model):
    code = models.TextField(primary_key=True)
    name = models.TextField()

    class Meta:
        app_label = "shop"
        db_table = "region"


# Django 3.2 knows no keys of two columns: the key is the tenant, and what is unique within it is said beside it.
class Account(models.Model):
    tenant_id = models.IntegerField(primary_key=True)
    region = models.ForeignKey(Region, models.PROTECT, db_column="region")
    owner = models.TextField()
    balance = models.DecimalField(max_digits=12, decimal_places=2, default=0)
    seen = models.DateTimeField(null=True, db_index=True)

    class Meta:
        app_label = "shop"
        db_table = "account"
        unique_together = [("tenant_id", "owner")]


class Memo(models.Model):
    body = models.TextField(null=True)

    class Meta:
        app_label = "shop"
        db_table = "memo"


def one(alias):
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT 1")
        return cursor.fetchone()[0]


@s.step("connect")
def _():
    return one("default")


@s.step("tls")
def _():
    return [one("tls"), connections["tls"].connection.info.ssl_in_use]


@s.step("migrate")
def _():
    with connection.schema_editor() as editor:
        for model in (Region, Account, Memo):
            editor.create_model(model)
    with connection.cursor() as cursor:
        for text in s.declarations:
            cursor.execute(text)
    # On a sharded table too: add a column and an index, and take them away.
    state = ProjectState()
    for model in (Region, Account, Memo):
        state.add_model(ModelState.from_model(model))
    migration = migrations.Migration("later", "shop")
    extra = models.IntegerField(null=True, db_index=True)
    migration.operations = [
        migrations.AddField("Account", "extra", extra),
        migrations.RemoveField("Account", "extra"),
    ]
    with connection.schema_editor() as editor:
        migration.apply(state, editor)
    executor = MigrationExecutor(connection)
    executor.recorder.ensure_schema()
    executor.recorder.record_applied("shop", "later")
    return [Account.objects.count(), *executor.recorder.applied_migrations()]


@s.step("crud")
def _():
    Region.objects.bulk_create([Region(code="eu", name="Europe"), Region(code="us", name="America")])
    Account.objects.bulk_create([Account(tenant_id=t, region_id="eu", owner="ann", balance=100) for t in s.tenants])
    found = Account.objects.select_related("region").get(tenant_id=3)
    updated = Account.objects.filter(balance__gte=50).update(region="us")
    deleted, _ = Account.objects.filter(tenant_id=8).delete()
    memo = Memo.objects.create(body="it's")
    other, made = Memo.objects.get_or_create(body="other")
    joined = Account.objects.values("region__name").annotate(n=models.Count("*")).get()
    account, was_made = Account.objects.update_or_create(tenant_id=1, defaults={"owner": "ann"})
    return [found.owner, found.region.name, updated, deleted, memo.id, made, was_made, *joined.values()]


def transfer(fails):
    try:
        with transaction.atomic():
            for tenant in range(2, 8):
                with transaction.atomic():
                    Account.objects.filter(tenant_id=1).update(balance=models.F("balance") - 10)
                account = Account.objects.select_for_update().get(tenant_id=tenant)
                account.balance += 10
                account.save()
            if fails:
                raise KeyError("no")
    except KeyError:
        pass
    return list(Account.objects.order_by("tenant_id").values_list("balance", flat=True))


@s.step("transaction")
def _():
    return transfer(False) + transfer(True)


def insert(**row):
    with transaction.atomic():
        Account.objects.create(**{"tenant_id": 9, "region_id": "eu", "owner": "bob", **row})


def execute(text):
    with connection.cursor() as cursor:
        cursor.execute(text)


def immediately(run):
    """Its foreign keys are DEFERRABLE INITIALLY DEFERRED."""
    with transaction.atomic():
        execute("SET CONSTRAINTS ALL IMMEDIATE")
        run()


@s.step("errors")
def _():
    return s.failures(
        lambda: insert(tenant_id=1),
        lambda: immediately(lambda: insert(region_id="xx")),
        lambda: insert(region_id="xx"),
        lambda: insert(region_id=None),
        lambda: execute("SELEC 1"),
    )


@s.step("refusal")
def _():
    return s.failures(lambda: execute(s.refused))


s.none("prepared", "psycopg2 puts the values into the text")


@s.step("stream")
def _():
    rows = [Account(tenant_id=100 + i, region_id="eu", owner="ann") for i in range(3000)]
    Account.objects.bulk_create(rows, batch_size=500)
    found = Account.objects.filter(tenant_id__gt=99).order_by("tenant_id").values_list("tenant_id", flat=True)
    ids = list(found.iterator(chunk_size=100))
    return [len(ids), sum(ids)]


@s.step("introspection")
def _():
    with connection.cursor() as cursor:
        on = connection.introspection
        tables = sorted(on.table_names(cursor))
        columns = [f"{c.name}:{on.get_field_type(c.type_code, c)}:{c.null_ok}" for c in on.get_table_description(cursor, "account")]
        constraints = on.get_constraints(cursor, "account")
        kinds = sorted(f"{name}:{c['columns']}:{c['unique']}:{c['foreign_key']}" for name, c in constraints.items())
        return [*tables, *columns, *kinds]
