// mysql2 through the gateway: text statements (query) and prepared ones (execute), a pool, streamed rows.
'use strict';

const assert = require('node:assert/strict');
const mysql = require('mysql2/promise');

const LOW = 1; // on shard -80
const HIGH = 4; // on shard 80-
const FACES = 'naïve – 日本 🐬🧭';

const options = (more) => ({
  host: process.env.PELORUS_HOST, port: Number(process.env.PELORUS_PORT), user: 'root', database: 'app',
  supportBigNumbers: true, bigNumberStrings: false, dateStrings: true, rowsAsArray: true, ...more,
});

const rows = async (db, how, sql, args) => (await db[how](sql, args))[0];
const change = async (db, how, sql, args) => (await db[how](sql, args))[0].affectedRows;

async function fails(db, how, code, errno, state, sql, args) {
  await assert.rejects(db[how](sql, args), (e) => {
    assert.deepEqual([e.code, e.errno, e.sqlState], [code, errno, state], sql);
    return true;
  });
}

async function types(db, how) {
  await change(db, how, 'DELETE FROM kinds');
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  for (const id of [LOW, HIGH]) {
    const values = [id, -2147483648, '18446744073709551615', '-12345678901234567890.0123456789', 0.5, '2024-02-29 23:59:58.123456', '-25:01:02',
      '1999-12-31', '{"a":1}', bytes, 'green', FACES];
    assert.equal(await change(db, how, `INSERT INTO kinds VALUES (${values.map(() => '?').join(', ')})`, values), 1);
    const [got] = await rows(db, how, 'SELECT * FROM kinds WHERE id = ?', [id]);
    got[8] = typeof got[8] === 'string' ? JSON.stringify(JSON.parse(got[8])) : JSON.stringify(got[8]);
    assert.deepEqual(got, values);
  }
  await change(db, how, 'INSERT INTO kinds (id, txt) VALUES (?, ?)', [2, null]);
  assert.deepEqual(await rows(db, how, 'SELECT i, u, dec_, dt, js, bin, txt FROM kinds WHERE id = ?', [2]), [Array(7).fill(null)]);
  assert.deepEqual(await rows(db, how, 'SELECT id, txt FROM kinds WHERE txt = ? ORDER BY id', [FACES]), [[LOW, FACES], [HIGH, FACES]]);
  await change(db, how, 'DELETE FROM kinds');
  console.log('ok types', how);
}

async function transactions(db, how) {
  await change(db, how, 'DELETE FROM item');
  for (const ids of [[LOW, 2], [LOW, HIGH]]) {
    await db.beginTransaction();
    assert.equal(await change(db, how, "INSERT INTO item (id, name) VALUES (?, 'a'), (?, 'b')", ids), 2);
    await db.rollback();
    assert.deepEqual(await rows(db, how, 'SELECT COUNT(*) FROM item'), [[0]]);
    await db.beginTransaction();
    for (const id of ids) {
      await change(db, how, "INSERT INTO item (id, name) VALUES (?, 'kept')", [id]);
    }
    await db.query('SAVEPOINT s');
    assert.equal(await change(db, how, "UPDATE item SET name = 'lost'"), 2);
    await db.query('ROLLBACK TO SAVEPOINT s');
    await db.query('RELEASE SAVEPOINT s');
    await db.commit();
    assert.deepEqual(await rows(db, how, 'SELECT id, name FROM item ORDER BY id'), ids.map((id) => [id, 'kept']));
    assert.equal(await change(db, how, 'DELETE FROM item'), 2);
  }
  console.log('ok transactions', how);
}

async function errors(db, how) {
  await change(db, how, "INSERT INTO item (id, name) VALUES (?, 'x')", [LOW]);
  await fails(db, how, 'ER_DUP_ENTRY', 1062, '23000', "INSERT INTO item (id, name) VALUES (?, 'y')", [LOW]);
  await fails(db, how, 'ER_PARSE_ERROR', 1064, '42000', 'SELEC 1');
  await fails(db, how, 'ER_NO_SUCH_TABLE', 1146, '42S02', 'SELECT * FROM nowhere WHERE id = ?', [1]);
  await fails(db, how, 'ER_BAD_FIELD_ERROR', 1054, '42S22', 'SELECT nothing FROM item WHERE id = ?', [1]);
  await assert.rejects(mysql.createConnection(options({ database: 'no_such_db' })), { code: 'ER_BAD_DB_ERROR', errno: 1049 });
  await change(db, how, 'DELETE FROM item');
  assert.deepEqual(await rows(db, how, 'SELECT 1'), [[1]]);
  console.log('ok errors', how);
}

async function ids(db, how) {
  const [first] = await db[how]('INSERT INTO note (txt) VALUES (?)', ['first']);
  assert.deepEqual(await rows(db, how, 'SELECT txt FROM note WHERE id = ?', [first.insertId]), [['first']]);
  assert.deepEqual(await rows(db, how, 'SELECT LAST_INSERT_ID()'), [[first.insertId]]);
  const texts = Array.from({ length: 20 }, (_, i) => `n${i}`);
  assert.equal(await change(db, how, `INSERT INTO note (txt) VALUES ${texts.map(() => '(?)').join(', ')}`, texts), 20);
  assert.equal(await change(db, how, 'DELETE FROM note'), 21);
  console.log('ok ids', how);
}

async function big(db, how) {
  const blob = Buffer.alloc(5 << 20, Buffer.from("\0\xff'\\\"\n", 'latin1'));
  await change(db, how, 'INSERT INTO kinds (id, bin) VALUES (?, ?)', [HIGH, blob]);
  const [[got]] = await rows(db, how, 'SELECT bin FROM kinds WHERE id = ?', [HIGH]);
  assert.ok(blob.equals(got), '5 MB came back as something else');
  await change(db, how, 'DELETE FROM kinds');
  console.log('ok big', how);
}

async function streaming(db) {
  const want = Array.from({ length: 2000 }, (_, i) => i);
  await change(db, 'query', `INSERT INTO item (id, name) VALUES ${want.map((i) => `(${i}, 'row ${i}')`).join(', ')}`);
  const got = [];
  for await (const row of db.connection.query('SELECT id FROM item ORDER BY id').stream()) {
    got.push(row[0]);
  }
  assert.deepEqual(got, want);
  await change(db, 'query', 'DELETE FROM item');
  console.log('ok streaming');
}

async function several() {
  const db = await mysql.createConnection(options({ multipleStatements: true }));
  const [results] = await db.query("SELECT id FROM item WHERE id = 4; INSERT INTO item (id, name) VALUES (4, 'm'); SELECT name FROM item WHERE id = 4");
  assert.deepEqual([results[0], results[1].affectedRows, results[2]], [[], 1, [['m']]]);
  await change(db, 'query', 'DELETE FROM item');
  await db.end();
  const plain = await mysql.createConnection(options());
  await fails(plain, 'query', 'ER_PARSE_ERROR', 1064, '42000', 'SELECT 1; SELECT 2');
  await plain.end();
  console.log('ok several');
}

async function pool() {
  const p = mysql.createPool(options({ connectionLimit: 4 }));
  await Promise.all(Array.from({ length: 40 }, (_, i) => p.execute('INSERT INTO item (id, name, n) VALUES (?, ?, ?)', [i, `row ${i}`, i])));
  const sums = await Promise.all(Array.from({ length: 20 }, () => p.query('SELECT SUM(n) FROM item')));
  for (const [sum] of sums) {
    assert.equal(Number(sum[0][0]), 780);
  }
  await p.query('DELETE FROM item');
  const one = await p.getConnection();
  const id = one.threadId;
  one.destroy();
  assert.notEqual((await p.query('SELECT CONNECTION_ID()'))[0][0][0], id);
  await p.end();
  console.log('ok pool');
}

async function main() {
  const db = await mysql.createConnection(options());
  for (const how of ['query', 'execute']) {
    for (const check of [types, transactions, errors, ids, big]) {
      await check(db, how);
    }
  }
  await streaming(db);
  await db.changeUser({ user: 'root', database: 'ids' });
  assert.deepEqual(await rows(db, 'query', 'SELECT DATABASE()'), [['ids']]);
  await db.ping();
  await db.end();
  await several();
  await pool();
}

main().catch((e) => {
  console.error(String(e.stack).slice(0, 2000));
  process.exit(1);
});
