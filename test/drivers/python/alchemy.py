"""SQLAlchemy through the gateway: Core and ORM, reflection, transactions with savepoints. The argument is the DB-API driver."""

import datetime
import decimal
import os
import sys

import sqlalchemy as sa
from sqlalchemy import orm

URL = f"mysql+{sys.argv[1]}://root@{os.environ['PELORUS_HOST']}:{os.environ['PELORUS_PORT']}/app?charset=utf8mb4"
Base = orm.declarative_base()


class Note(Base):
    __tablename__ = "note"
    id = sa.Column(sa.BigInteger, primary_key=True, autoincrement=True)
    txt = sa.Column(sa.String(100), nullable=False)


class Item(Base):
    __tablename__ = "item"
    id = sa.Column(sa.BigInteger, primary_key=True, autoincrement=False)
    name = sa.Column(sa.String(100), nullable=False)
    n = sa.Column(sa.Integer, nullable=False, default=0)


def equal(what, got, want):
    if got != want:
        raise SystemExit(f"{what}: got {got!r:.300}, want {want!r:.300}")


def reflection(engine):
    inspector = sa.inspect(engine)
    names = inspector.get_table_names()
    equal("tables", {"item", "kinds", "note"} <= set(names), True)
    equal("views", inspector.get_view_names(), [])
    equal("primary key", inspector.get_pk_constraint("item")["constrained_columns"], ["id"])
    equal("foreign keys", inspector.get_foreign_keys("item"), [])
    equal("indexes", inspector.get_indexes("item"), [])
    equal("has a table", (inspector.has_table("note"), inspector.has_table("nowhere")), (True, False))
    kinds = sa.Table("kinds", sa.MetaData(), autoload_with=engine)
    equal("reflected columns", [c.name for c in kinds.columns][:5], ["id", "i", "u", "dec_", "dbl"])
    equal("enum", list(kinds.c.col.type.enums), ["red", "green", "blue"])
    equal("schemas", {"app", "ids"} <= set(inspector.get_schema_names()), True)
    with engine.begin() as db:
        db.execute(kinds.delete())
        at = datetime.datetime(2020, 1, 2, 3, 4, 5, 678901)
        row = {"id": 4, "u": 2**63, "dec_": decimal.Decimal("0.5"), "dt": at, "js": {"a": [1, None]}, "bin": b"\0\1", "col": "blue", "txt": "🐬"}
        if not isinstance(kinds.c.js.type, sa.JSON):  # MariaDB's JSON is text
            row["js"] = '{"a": [1, null]}'
        db.execute(kinds.insert(), [row])
        got = db.execute(sa.select(kinds).where(kinds.c.id == 4)).mappings().one()
        for key, value in row.items():
            equal(f"column {key}", got[key], value)
        db.execute(kinds.delete())
    print("ok reflection")


def core(engine):
    item = Item.__table__
    with engine.begin() as db:
        db.execute(item.delete())
        equal("rows of an insert", db.execute(item.insert(), [{"id": i, "name": f"n{i % 3}", "n": i} for i in range(1, 31)]).rowcount, 30)
        equal("found rows", db.execute(item.update().where(item.c.id == 4).values(n=4)).rowcount, 1)
        got = db.execute(sa.select(item.c.name, sa.func.count(), sa.func.sum(item.c.n)).group_by(item.c.name).order_by(item.c.name)).all()
        equal("groups", got, [("n0", 10, 165), ("n1", 10, 145), ("n2", 10, 155)])
        equal("page", db.execute(sa.select(item.c.id).order_by(item.c.n.desc()).limit(3).offset(2)).scalars().all(), [28, 27, 26])
        equal("in", db.execute(sa.select(item.c.id).where(item.c.id.in_([1, 4, 6, 99])).order_by(item.c.id)).scalars().all(), [1, 4, 6])
    print("ok core")


def session(engine):
    with orm.Session(engine) as s:
        s.query(Item).delete()
        s.add_all([Item(id=1, name="low"), Item(id=4, name="high")])
        s.flush()
        try:
            with s.begin_nested():
                s.add(Item(id=4, name="twice"))
                s.flush()
        except sa.exc.IntegrityError as e:
            equal("errno", e.orig.args[0], 1062)
        else:
            raise SystemExit("no error from a duplicate key")
        with s.begin_nested():
            s.get(Item, 1).n = 7
        s.commit()
        s.add(Item(id=6, name="lost"))
        s.flush()
        s.rollback()
        equal("after commit and rollback", [(i.id, i.name, i.n) for i in s.query(Item).order_by(Item.id)], [(1, "low", 7), (4, "high", 0)])
        note = Note(txt="by sequence")
        s.add(note)
        s.commit()
        equal("the new note", s.get(Note, note.id, populate_existing=True).txt, "by sequence")
        s.query(Note).delete()
        s.query(Item).delete()
        s.commit()
    print("ok session")


def isolation(engine):
    for level in ("READ COMMITTED", "SERIALIZABLE", "AUTOCOMMIT"):
        with engine.connect().execution_options(isolation_level=level) as db:
            equal("select at " + level, db.execute(sa.text("SELECT COUNT(*) FROM item")).scalar(), 0)
    with engine.connect() as db:
        equal("isolation of a new user", db.get_isolation_level(), "REPEATABLE READ")
    print("ok isolation")


def main():
    engine = sa.create_engine(URL, pool_pre_ping=True)
    for check in (reflection, core, session, isolation):
        check(engine)
    engine.dispose()
    with engine.connect() as db:
        equal("after the pool was closed", db.execute(sa.text("SELECT 1")).scalar(), 1)
    print("ok reconnect")


main()
