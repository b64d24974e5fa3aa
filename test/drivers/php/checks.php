<?php
// PDO (mysqlnd) through the gateway, with the server's prepared statements and with PDO's own; cursors by mysqli.

const LOW = 1;   // on shard -80
const HIGH = 4;  // on shard 80-
const FACES = 'naïve – 日本 🐬🧭';

function open(bool $emulate, string $database = 'app'): PDO
{
    $dsn = sprintf('mysql:host=%s;port=%s;dbname=%s;charset=utf8mb4', getenv('PELORUS_HOST'), getenv('PELORUS_PORT'), $database);
    return new PDO($dsn, 'root', '', [
        PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION, PDO::ATTR_EMULATE_PREPARES => $emulate, PDO::ATTR_DEFAULT_FETCH_MODE => PDO::FETCH_NUM,
    ]);
}

function equal(string $what, mixed $got, mixed $want): void
{
    if ($got !== $want) {
        fwrite(STDERR, substr("$what: got " . json_encode($got) . ', want ' . json_encode($want), 0, 600) . "\n");
        exit(1);
    }
}

function rows(PDO $db, string $sql, array $args = []): array
{
    $s = $db->prepare($sql);
    $s->execute($args);
    return $s->fetchAll();
}

function change(PDO $db, string $sql, array $args = []): int
{
    $s = $db->prepare($sql);
    $s->execute($args);
    return $s->rowCount();
}

function fails(string $state, int $code, callable $f): void
{
    try {
        $f();
    } catch (PDOException $e) {
        equal("error $code", [(string) $e->errorInfo[0], $e->errorInfo[1]], [$state, $code]);
        return;
    }
    equal("error $code", 'none', $code);
}

function types(PDO $db): void
{
    change($db, 'DELETE FROM kinds');
    $bytes = implode('', array_map('chr', range(0, 255)));
    foreach ([LOW, HIGH] as $id) {
        $s = $db->prepare('INSERT INTO kinds VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)');
        $values = [$id, -2147483648, '18446744073709551615', '-12345678901234567890.0123456789', 0.5, '2024-02-29 23:59:58.123456', '-25:01:02',
            '1999-12-31', '{"a": 1}', $bytes, 'green', FACES];
        foreach ($values as $i => $v) {
            $s->bindValue($i + 1, $v, is_int($v) ? PDO::PARAM_INT : ($i === 9 ? PDO::PARAM_LOB : PDO::PARAM_STR));
        }
        $s->execute();
        equal('types', array_map('bin2hex', array_map('strval', rows($db, 'SELECT * FROM kinds WHERE id = ?', [$id])[0])), array_map('bin2hex', array_map('strval', $values)));
    }
    change($db, 'INSERT INTO kinds (id, txt) VALUES (?, ?)', [2, null]);
    equal('nulls', rows($db, 'SELECT i, u, dec_, dbl, dt, tm, day, js, bin, col, txt FROM kinds WHERE id = ?', [2]), [array_fill(0, 11, null)]);
    equal('both shards', rows($db, 'SELECT id, txt FROM kinds WHERE txt = ? ORDER BY id', [FACES]), [[LOW, FACES], [HIGH, FACES]]);
    change($db, 'DELETE FROM kinds');
    echo "ok types\n";
}

function transactions(PDO $db): void
{
    change($db, 'DELETE FROM item');
    foreach ([[LOW, 2], [LOW, HIGH]] as $ids) {
        $db->beginTransaction();
        equal('rows of an insert', change($db, "INSERT INTO item (id, name) VALUES (?, 'a'), (?, 'b')", $ids), 2);
        $db->rollBack();
        equal('after rollback', rows($db, 'SELECT COUNT(*) FROM item'), [[0]]);
        $db->beginTransaction();
        foreach ($ids as $id) {
            change($db, "INSERT INTO item (id, name) VALUES (?, 'kept')", [$id]);
        }
        $db->exec('SAVEPOINT s');
        equal('rows of an update', change($db, "UPDATE item SET name = 'lost'"), 2);
        $db->exec('ROLLBACK TO SAVEPOINT s');
        $db->exec('RELEASE SAVEPOINT s');
        $db->commit();
        equal('after commit', rows($db, 'SELECT id, name FROM item ORDER BY id'), [[$ids[0], 'kept'], [$ids[1], 'kept']]);
        equal('rows of a delete', change($db, 'DELETE FROM item'), 2);
    }
    echo "ok transactions\n";
}

function errors(PDO $db, bool $emulate): void
{
    change($db, "INSERT INTO item (id, name) VALUES (?, 'x')", [LOW]);
    fails('23000', 1062, fn () => change($db, "INSERT INTO item (id, name) VALUES (?, 'y')", [LOW]));
    fails('42000', 1064, fn () => rows($db, 'SELEC 1'));
    fails('42S02', 1146, fn () => rows($db, 'SELECT * FROM nowhere WHERE id = ?', [1]));
    fails('42S22', 1054, fn () => rows($db, 'SELECT nothing FROM item WHERE id = ?', [1]));
    try {
        open($emulate, 'no_such_db');
        equal('unknown database', 'no error', 1049);
    } catch (PDOException $e) {
        equal('unknown database', $e->getCode(), 1049);
    }
    change($db, 'DELETE FROM item');
    equal('still alive', rows($db, 'SELECT 1'), [[1]]);
    echo "ok errors\n";
}

function ids(PDO $db): void
{
    change($db, 'INSERT INTO note (txt) VALUES (?)', ['first']);
    $first = $db->lastInsertId();
    equal('the row of the last insert id', rows($db, 'SELECT txt FROM note WHERE id = ?', [$first]), [['first']]);
    equal('LAST_INSERT_ID()', strval(rows($db, 'SELECT LAST_INSERT_ID()')[0][0]), $first);
    equal('rows of an insert', change($db, 'INSERT INTO note (txt) VALUES ' . implode(', ', array_fill(0, 20, '(?)')), range(1, 20)), 20);
    equal('rows of a delete', change($db, 'DELETE FROM note'), 21);
    echo "ok ids\n";
}

function big(PDO $db): void
{
    $blob = str_repeat("\0\xff'\\\"\n", intdiv(5 << 20, 6));
    $s = $db->prepare('INSERT INTO kinds (id, bin) VALUES (?, ?)');
    $s->bindValue(1, HIGH, PDO::PARAM_INT);
    $s->bindValue(2, $blob, PDO::PARAM_LOB);
    $s->execute();
    equal('5 MB', rows($db, 'SELECT bin FROM kinds WHERE id = ?', [HIGH])[0][0] === $blob, true);
    change($db, 'DELETE FROM kinds');
    echo "ok big\n";
}

function results(PDO $db): void
{
    $db->setAttribute(PDO::MYSQL_ATTR_USE_BUFFERED_QUERY, false);
    change($db, 'INSERT INTO item (id, name) VALUES ' . implode(', ', array_map(fn ($i) => "($i, 'row $i')", range(0, 1999))));
    $s = $db->query('SELECT id FROM item ORDER BY id');
    equal('unbuffered rows', array_map('intval', $s->fetchAll(PDO::FETCH_COLUMN)), range(0, 1999));
    $s->closeCursor();
    $s = $db->query('SELECT id FROM item ORDER BY id');
    $s->fetch();
    $s->closeCursor();
    $db->setAttribute(PDO::MYSQL_ATTR_USE_BUFFERED_QUERY, true);
    equal('after a result that was left', rows($db, 'SELECT COUNT(*) FROM item'), [[2000]]);
    change($db, 'DELETE FROM item');
    echo "ok results\n";
}

function many(PDO $db): void
{
    $s = $db->query("SELECT id FROM item WHERE id = 4; INSERT INTO item (id, name) VALUES (4, 'm'); SELECT name FROM item WHERE id = 4");
    equal('the first of three', $s->fetchAll(), []);
    equal('the second of three', [$s->nextRowset(), $s->rowCount()], [true, 1]);
    equal('the third of three', [$s->nextRowset(), $s->fetchAll(), $s->nextRowset()], [true, [['m']], false]);
    change($db, 'DELETE FROM item');
    echo "ok many\n";
}

// cursors reads by mysqli with a cursor on the server: rows of one shard, then of both, which come without one.
function cursors(): void
{
    mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);
    $db = new mysqli(getenv('PELORUS_HOST'), 'root', '', 'app', (int) getenv('PELORUS_PORT'));
    $db->query('DELETE FROM item');
    foreach ([LOW, HIGH] as $id) {
        $db->query("INSERT INTO item (id, name) VALUES ($id, 'c')");
    }
    foreach ([false, true] as $transaction) {
        if ($transaction) {
            $db->begin_transaction();
        }
        foreach (['SELECT id FROM item WHERE id = 4' => [HIGH], 'SELECT id FROM item ORDER BY id' => [LOW, HIGH]] as $sql => $want) {
            $s = $db->prepare($sql);
            $s->attr_set(MYSQLI_STMT_ATTR_CURSOR_TYPE, MYSQLI_CURSOR_TYPE_READ_ONLY);
            foreach ([1, 2] as $again) {
                $s->execute();
                $s->bind_result($id);
                $got = [];
                while ($s->fetch()) {
                    $got[] = $id;
                }
                equal("cursor of $sql", $got, $want);
            }
            $s->close();
        }
        if ($transaction) {
            $db->commit();
        }
    }
    $db->query('DELETE FROM item');
    $db->close();
    echo "ok cursors\n";
}

cursors();
foreach ([false, true] as $emulate) {
    $db = open($emulate);
    types($db);
    transactions($db);
    errors($db, $emulate);
    ids($db);
    big($db);
    results($db);
    if ($emulate) {
        many($db);
    }
    $one = rows($db, 'SELECT CONNECTION_ID()');
    $db = null;
    equal('a new connection', rows(open($emulate), 'SELECT CONNECTION_ID()') === $one, false);
    echo "ok reconnect\n";
}
