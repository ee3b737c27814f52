// A site in Express that reads and writes, with the two handlers of docs/CLIENTS.md.
'use strict';
const { execSync } = require('node:child_process');
const express = require('express');
const pg = require('pg');
const { banner, refused } = require('./express_frostgate');

const pool = new pg.Pool({ max: 2 });
const app = express();
app.use(express.urlencoded());
app.use(banner(pool));
app.get('/notes', async (req, res) => {
  const { rows } = await pool.query('SELECT body FROM notes');
  res.send(`${res.locals.readOnly ? '<p class=banner>Under maintenance.</p>' : ''}${rows.length} notes`);
});
app.post('/notes', async (req, res) => {
  await pool.query('INSERT INTO notes (body) VALUES ($1)', [req.body.body]);
  res.sendStatus(201);
});
app.use(refused);

const server = app.listen(0, '127.0.0.1', async () => {
  const url = `http://127.0.0.1:${server.address().port}/notes`;
  const get = async (when) => {
    const answer = await fetch(url);
    const text = await answer.text();
    console.log(`${when}: ${answer.status} ${text.split('>').at(-1)}${text.includes('banner') ? ', with a banner' : ''}`);
  };
  const post = async (when, body) => {
    const answer = await fetch(url, { method: 'POST', body: new URLSearchParams({ body }) });
    const later = answer.headers.has('Retry-After') ? ` Retry-After ${answer.headers.get('Retry-After')}` : '';
    console.log(`${when}: ${answer.status}${later}`);
  };
  const turn = (command) => execSync(process.env[command], { stdio: 'ignore' });
  await get('open, GET');
  await post('open, POST', 'before');
  if (process.argv[2] === 'frozen') {
    turn('FREEZE');
    await get('frozen, GET');
    await post('frozen, POST', 'refused');
    await get('frozen, GET after it');
    turn('THAW');
  }
  await post('thawed, POST', 'after');
  await post('thawed, POST again', 'after, in the pool');
  await get('thawed, GET');
  server.close();
  server.closeAllConnections();
  await pool.end();
});
