// node-postgres, with its pool.
'use strict';
const { execSync } = require('node:child_process');
const { once } = require('node:events');
const pg = require('pg');

const TYPES = `SELECT 7::int2 a, 42::int4 b, 9007199254740993::int8 c, 1.5::float8 d, 12.3450::numeric e, 'Grüße'::text f,
  '\\xdeadbeef'::bytea g, true h, NULL::text i, TIMESTAMPTZ '2026-11-20 12:00:00+00' j, INTERVAL '1 day 2 hours' k,
  ARRAY[1,2,NULL] l, '{"a": [1, null]}'::jsonb m, '6f1c1f7e-3b0a-4a5e-9d4e-0a1b2c3d4e5f'::uuid n`;
const READ = 'SELECT count(*)::int AS n FROM notes';
const INSERT = 'INSERT INTO notes (body) VALUES ($1)';

const say = (what, value) => console.log(`${what}: ${typeof value === 'object' ? JSON.stringify(value) : value}`);
const turn = (command) => execSync(command, { stdio: ['ignore', 'ignore', 'inherit'] });
const count = async (db) => (await db.query(READ)).rows[0].n;
const prepared = (text, ...values) => ({ name: text, text, values });

async function told(act) {
  try {
    return await act();
  } catch (error) {
    return `${error.constructor.name} ${error.code} ${error.message}`;
  }
}

async function plain() {
  const db = new pg.Client();
  await db.connect();
  const types = await db.query(TYPES);
  say('types', types.rows);
  say('columns', types.fields.map((field) => [field.name, field.dataTypeID]));
  for (let n = 0; n < 8; n += 1) say('prepared', (await db.query(prepared('SELECT $1::int + 1 AS n, $2::text AS t', n, 'ä'.repeat(n)))).rows);
  say('returning', (await db.query(`${INSERT} RETURNING id`, ['third'])).rows);
  say('updated', (await db.query("UPDATE notes SET body = body || '!'")).rowCount);
  say('unique', await told(() => db.query(INSERT, ['third!'])));
  say('syntax', await told(() => db.query('SELEC 1')));
  say('script', (await db.query('SELECT 1 AS a; SELECT 2 AS b; UPDATE notes SET body = body')).map((one) => [one.command, one.rows]));
  await db.query('BEGIN');
  await db.query(INSERT, ['kept']);
  await db.query('SAVEPOINT s');
  await db.query(INSERT, ['dropped']);
  await db.query('ROLLBACK TO s');
  await db.query('COMMIT');
  say('notes', (await db.query('SELECT body FROM notes ORDER BY id')).rows);
  // Sent without waiting for each other.
  say('queued', (await Promise.all([...Array(20).keys()].map((n) => db.query('SELECT $1::int AS n', [n])))).map((one) => one.rows[0].n));
  say('large', (await db.query('SELECT length($1::text), md5($1::text)', ['x'.repeat(1000000)])).rows);
  say('rows', (await db.query('SELECT generate_series(1, 20000) AS n')).rows.reduce((sum, row) => sum + row.n, 0));
  const heard = once(db, 'notification');
  await db.query('LISTEN news');
  await db.query("NOTIFY news, 'hello'");
  say('notified', (await heard).map((one) => [one.channel, one.payload]));
  await db.query("SET statement_timeout = '200ms'");
  say('timed out', await told(() => db.query('SELECT pg_sleep(20)')));
  await db.end();
  const pool = new pg.Pool({ max: 3 });
  say('pool', await Promise.all([...Array(12).keys()].map(() => count(pool))));
  await pool.end();
}

async function frozen() {
  const db = new pg.Client();
  await db.connect();
  const pool = new pg.Pool({ max: 1 });
  const pid = async (one) => (await one.query('SELECT pg_backend_pid() AS n')).rows[0].n;
  const [own, pooled] = [await pid(db), await pid(pool)];
  await db.query(prepared(INSERT, 'before'));
  await db.query(prepared(READ));
  turn(process.env.FREEZE);
  say('simple read', await count(db));
  say('prepared read', (await db.query(prepared(READ))).rows[0].n);
  await db.query('BEGIN');
  say('read in a transaction', await count(db));
  await db.query('COMMIT');
  say('read in a pool', await count(pool));
  say('write', await told(() => db.query("INSERT INTO notes (body) VALUES ('refused')")));
  say('prepared write', await told(() => db.query(prepared(INSERT, 'refused'))));
  await db.query('BEGIN');
  say('write in a transaction', await told(() => db.query("UPDATE notes SET body = 'refused' WHERE id = $1", [1])));
  await db.query('ROLLBACK');
  // pool.query would give the connection up after any error of the server's, as it does directly.
  say('write in a pool', await told(async () => {
    const client = await pool.connect();
    try {
      return await client.query(INSERT, ['refused']);
    } finally {
      client.release();
    }
  }));
  say('read after it', await count(db));
  say('read in the pool after it', await count(pool));
  say('same connection in the pool', (await pid(pool)) === pooled);
  say('same connection', (await pid(db)) === own);
  turn(process.env.THAW);
  say('thawed, prepared read', (await db.query(prepared(READ))).rows[0].n);
  say('thawed, prepared write', (await db.query(prepared(INSERT, 'after'))).rowCount);
  say('thawed, write in the pool', (await pool.query(INSERT, ['after, in the pool'])).rowCount);
  await pool.end();
  await db.end();
}

({ plain, frozen })[process.argv[2]]().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
