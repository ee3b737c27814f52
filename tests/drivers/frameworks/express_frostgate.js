// A refused write becomes a 503, and pages can show a banner for as long as writes are refused.
'use strict';

// app.use(banner(pool)) before the routes: res.locals.readOnly is there for every template.
const banner = (pool) => async (req, res, next) => {
  const { rows } = await pool.query("SELECT current_setting('transaction_read_only') = 'on' AS on");
  res.locals.readOnly = rows[0].on;
  next();
};

// app.use(refused) after the routes.
const refused = (error, req, res, next) => {
  if (error.code !== '25006') return next(error);
  return res.status(503).set('Retry-After', '60').send('Under maintenance: reading only.');
};

module.exports = { banner, refused };
