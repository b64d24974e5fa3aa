"""Django through the gateway: migrations, the ORM, introspection. The argument is the keyspace."""

import datetime
import decimal
import io
import os
import sys

import django
from django.conf import settings

settings.configure(
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.mysql",
            "HOST": os.environ["PELORUS_HOST"],
            "PORT": os.environ["PELORUS_PORT"],
            "USER": "root",
            "NAME": sys.argv[1],
            "OPTIONS": {"charset": "utf8mb4"},
        }
    },
    INSTALLED_APPS=["shop"],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
)
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import IntegrityError, connection, models, transaction  # noqa: E402
from django.utils import timezone  # noqa: E402
from shop.models import Customer, Order  # noqa: E402


def equal(what, got, want):
    if got != want:
        raise SystemExit(f"{what}: got {got!r:.300}, want {want!r:.300}")


def migrations():
    call_command("migrate", verbosity=0)
    out = io.StringIO()
    call_command("showmigrations", stdout=out)
    equal("migrations", out.getvalue(), "shop\n [X] 0001_initial\n [X] 0002_email\n")
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)
    call_command("migrate", "shop", "0001", verbosity=0)
    call_command("migrate", verbosity=0)
    call_command("check", databases=["default"], stdout=io.StringIO())
    print("ok migrations")


def introspection():
    with connection.cursor() as cursor:
        names = connection.introspection.table_names(cursor)
        equal("tables", {"django_migrations", "shop_customer", "shop_order"} <= set(names), True)
        constraints = connection.introspection.get_constraints(cursor, "shop_customer")
        equal("primary key", [c["columns"] for c in constraints.values() if c["primary_key"]], [["id"]])
        equal("index", constraints["customer_name"]["columns"], ["name"])
        keys = connection.introspection.get_key_columns(cursor, "shop_order")
        equal("foreign key", [tuple(k) for k in keys], [("customer_id", "shop_customer", "id")])
        columns = [f.name for f in connection.introspection.get_table_description(cursor, "shop_customer")]
        equal("columns", columns, ["id", "name", "joined", "balance", "tags", "active", "photo", "email"])
    out = io.StringIO()
    call_command("inspectdb", "shop_order", stdout=out)
    equal("inspected foreign key", "customer = models.ForeignKey('ShopCustomer', models.DO_NOTHING)" in out.getvalue(), True)
    equal("inspected type", "amount = models.PositiveIntegerField()" in out.getvalue(), True)
    print("ok introspection")


def objects():
    Customer.objects.all().delete()
    at = datetime.datetime(2024, 2, 29, 12, 0, 0, 123456, tzinfo=timezone.utc)
    people = [
        Customer.objects.create(
            name=f"naïve 🐬 {i}", joined=at + datetime.timedelta(days=i), balance=decimal.Decimal("10.25") * i, tags=["a", i], photo=bytes(range(256))
        )
        for i in range(10)
    ]
    equal("distinct ids", len({p.pk for p in people}), 10)
    got = Customer.objects.get(pk=people[3].pk)
    equal("object", (got.name, got.joined, got.balance, got.tags, bytes(got.photo), got.email), ("naïve 🐬 3", people[3].joined, decimal.Decimal("30.75"), ["a", 3], bytes(range(256)), None))
    for p in people:
        p.orders.bulk_create([Order(customer=p, product=f"p{i}", amount=i, took=datetime.timedelta(seconds=i, microseconds=5)) for i in range(4)])
    equal("count", Order.objects.count(), 40)
    equal("sum", Customer.objects.aggregate(models.Sum("balance"), models.Max("joined")), {"balance__sum": decimal.Decimal("461.25"), "joined__max": people[9].joined})
    equal("by json", Customer.objects.filter(tags__1=4).get().pk, people[4].pk)
    equal("page", [c.pk for c in Customer.objects.order_by("-balance")[2:5]], [people[i].pk for i in (7, 6, 5)])
    equal("updated", Customer.objects.filter(balance__gt=50).update(active=False, email="x@example.com"), 5)
    equal("expression", Customer.objects.filter(pk=people[1].pk).update(balance=models.F("balance") + 1), 1)
    one, made = Customer.objects.get_or_create(name="new", defaults={"joined": at})
    equal("get or create", (made, Customer.objects.get_or_create(name="new", defaults={"joined": at})), (True, (one, False)))
    equal("related", [o.product for o in people[2].orders.filter(amount__gte=2).order_by("amount")], ["p2", "p3"])
    joined = Order.objects.filter(customer__name="naïve 🐬 5", amount__lt=2).select_related("customer").order_by("amount")
    equal("join", [(o.customer.balance, o.took) for o in joined], [(decimal.Decimal("51.25"), datetime.timedelta(seconds=i, microseconds=5)) for i in range(2)])
    equal("exists", (Customer.objects.filter(name="nobody").exists(), Customer.objects.filter(active=True).exists()), (False, True))
    equal("groups", list(Order.objects.values("product").annotate(n=models.Count("id")).order_by("product")), [{"product": f"p{i}", "n": 10} for i in range(4)])
    equal("prefetched", sum(len(c.orders.all()) for c in Customer.objects.prefetch_related("orders")), 40)
    equal("deleted", one.delete()[0], 1)
    equal("cascade", people[9].delete(), (5, {"shop.Order": 4, "shop.Customer": 1}))
    print("ok objects")


def transactions():
    before = Customer.objects.count()
    now = timezone.now()
    try:
        with transaction.atomic():
            for i in range(6):
                Customer.objects.create(name=f"t{i}", joined=now)
            raise RuntimeError
    except RuntimeError:
        pass
    equal("after rollback", Customer.objects.count(), before)
    with transaction.atomic():
        kept = Customer.objects.create(name="kept", joined=now)
        try:
            with transaction.atomic():
                Customer.objects.create(name="lost", joined=now)
                Customer.objects.create(pk=kept.pk, name="twice", joined=now)
        except IntegrityError as e:
            equal("errno", e.args[0], 1062)
        Customer.objects.select_for_update().filter(pk=kept.pk).update(balance=5)
    equal("after commit", list(Customer.objects.filter(name__in=["kept", "lost", "twice"]).values_list("name", "balance")), [("kept", decimal.Decimal(5))])
    connection.close()
    equal("after reconnecting", Customer.objects.count(), before + 1)
    print("ok transactions")


def end():
    Customer.objects.all().delete()
    equal("all orders are gone with their customers", Order.objects.count(), 0)
    call_command("migrate", "shop", "zero", verbosity=0)
    with connection.cursor() as cursor:
        equal("tables", {"shop_customer", "shop_order"} & set(connection.introspection.table_names(cursor)), set())
    print("ok end")


for check in (migrations, introspection, objects, transactions, end):
    check()
