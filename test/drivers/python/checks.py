"""What a DB-API driver must see through the gateway. The driver is the argument: pymysql or MySQLdb."""

import datetime
import decimal
import importlib
import json
import os
import sys

# By the vindex hash, row 1 lies on shard -80 and row 4 on shard 80-.
LOW, HIGH = 1, 4
FACES = "naïve – 日本 🐬🧭"


def connect(driver, **more):
    return driver.connect(
        host=os.environ["PELORUS_HOST"], port=int(os.environ["PELORUS_PORT"]), user="root", charset="utf8mb4", **{"database": "app", **more}
    )


def equal(what, got, want):
    if got != want:
        raise SystemExit(f"{what}: got {got!r:.300}, want {want!r:.300}")


def rows(db, sql, args=None):
    with db.cursor() as c:
        c.execute(sql, args)
        return list(c.fetchall())


def change(db, sql, args=None):
    with db.cursor() as c:
        return c.execute(sql, args)


def fails(driver, db, cls, code, sql, args=None):
    try:
        change(db, sql, args)
    except driver.Error as e:
        equal(f"errno of {sql}", e.args[0], code)
        equal(f"class of error {code}", isinstance(e, cls), True)
        return
    raise SystemExit(f"{sql}: no error, want {code}")


def types(driver, db):
    change(db, "DELETE FROM kinds")
    big = bytes(range(256)) * 4
    at = datetime.datetime(2024, 2, 29, 23, 59, 58, 123456)
    for key in (LOW, HIGH):
        values = (
            key, -(2**31), 2**64 - 1, decimal.Decimal("-12345678901234567890.0123456789"), 1.5e-300, at, datetime.timedelta(hours=25, minutes=1),
            datetime.date(1999, 12, 31), json.dumps({"a": [1, FACES]}, ensure_ascii=False), big, "green", FACES,
        )
        change(db, "INSERT INTO kinds VALUES (" + ", ".join(["%s"] * len(values)) + ")", values)
        got = rows(db, "SELECT * FROM kinds WHERE id = %s", (key,))[0]
        equal("json", json.loads(got[8]), {"a": [1, FACES]})
        for i in (0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11):
            equal(f"column {i} of kinds", got[i], values[i])
    change(db, "INSERT INTO kinds (id) VALUES (%s)", (2,))
    equal("nulls", rows(db, "SELECT * FROM kinds WHERE id = 2"), [(2,) + (None,) * 11])
    equal("both shards", rows(db, "SELECT id, txt FROM kinds WHERE txt = %s ORDER BY id", (FACES,)), [(LOW, FACES), (HIGH, FACES)])
    equal("sum", rows(db, "SELECT COUNT(*), SUM(u), MAX(dt) FROM kinds"), [(3, decimal.Decimal(2 * (2**64 - 1)), at)])
    db.commit()
    print("ok types")


def transactions(driver, db):
    change(db, "DELETE FROM item")
    db.commit()
    for ids in ((LOW, 2), (LOW, HIGH)):
        equal("rows of an insert", change(db, "INSERT INTO item (id, name) VALUES (%s, 'a'), (%s, 'b')", ids), 2)
        db.rollback()
        equal("after rollback", rows(db, "SELECT COUNT(*) FROM item"), [(0,)])
        for key in ids:
            change(db, "INSERT INTO item (id, name) VALUES (%s, 'kept')", (key,))
        change(db, "SAVEPOINT s")
        equal("rows of an update", change(db, "UPDATE item SET name = 'lost'"), 2)
        change(db, "ROLLBACK TO SAVEPOINT s")
        change(db, "RELEASE SAVEPOINT s")
        db.commit()
        equal("after commit", rows(db, "SELECT id, name FROM item ORDER BY id"), [(ids[0], "kept"), (ids[1], "kept")])
        equal("rows of a delete", change(db, "DELETE FROM item"), 2)
        db.commit()
    print("ok transactions")


def errors(driver, db):
    change(db, "INSERT INTO item (id, name) VALUES (%s, 'x')", (LOW,))
    fails(driver, db, driver.IntegrityError, 1062, "INSERT INTO item (id, name) VALUES (%s, 'y')", (LOW,))
    fails(driver, db, driver.ProgrammingError, 1064, "SELEC 1")
    fails(driver, db, driver.ProgrammingError, 1146, "SELECT * FROM nowhere")
    fails(driver, db, driver.OperationalError, 1054, "SELECT nothing FROM item WHERE id = 1")
    db.rollback()
    try:
        connect(driver, database="no_such_db")
    except driver.OperationalError as e:
        equal("unknown database", e.args[0], 1049)
    else:
        raise SystemExit("no error from an unknown database")
    equal("still alive", rows(db, "SELECT 1"), [(1,)])
    db.rollback()
    print("ok errors")


def ids(driver, db):
    with db.cursor() as c:
        c.execute("INSERT INTO note (txt) VALUES ('first')")
        first = c.lastrowid
        equal("the row of the last insert id", rows(db, "SELECT txt FROM note WHERE id = %s", (first,)), [("first",)])
        equal("LAST_INSERT_ID()", rows(db, "SELECT LAST_INSERT_ID()"), [(first,)])
        c.executemany("INSERT INTO note (txt) VALUES (%s)", [(f"n{i}",) for i in range(50)])
        equal("rows of executemany", c.rowcount, 50)
    equal("notes", rows(db, "SELECT COUNT(*), COUNT(DISTINCT id) FROM note"), [(51, 51)])
    change(db, "DELETE FROM note")
    db.commit()
    print("ok ids")


def big(driver, db):
    blob = b"\0\xff'\\\"\n" * (5 * 1024 * 1024 // 6)
    change(db, "DELETE FROM kinds")
    change(db, "INSERT INTO kinds (id, bin) VALUES (%s, %s)", (HIGH, blob))
    equal("5 MB", rows(db, "SELECT bin FROM kinds WHERE id = %s", (HIGH,))[0][0] == blob, True)
    change(db, "DELETE FROM kinds")
    db.commit()
    print("ok big")


def streaming(driver, db):
    change(db, "DELETE FROM item")
    change(db, "INSERT INTO item (id, name, n) VALUES " + ", ".join(f"({i}, 'row {i}', {i % 7})" for i in range(3000)))
    with db.cursor(importlib.import_module(driver.__name__ + ".cursors").SSCursor) as c:
        c.execute("SELECT id, name FROM item ORDER BY id")
        got = [row[0] for row in c.fetchall()]
    equal("streamed rows", got, list(range(3000)))
    change(db, "DELETE FROM item")
    db.commit()
    print("ok streaming")


def main():
    driver = importlib.import_module(sys.argv[1])
    db = connect(driver)
    for check in (types, transactions, errors, ids, big, streaming):
        check(driver, db)
    one = rows(db, "SELECT CONNECTION_ID()")[0][0]
    db.close()
    db = connect(driver)
    equal("a new connection", rows(db, "SELECT CONNECTION_ID()")[0][0] != one, True)
    db.ping()
    db.close()
    print("ok reconnect")


main()
