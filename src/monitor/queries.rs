//! What the monitor asks: one question for everything that anybody may see, which answers with one JSON value that
//! `check::Facts` is read from. PostgreSQL 13 to 18 have all that it names.
//!
//! Every name is qualified: nobody's schema can come between. The question takes no transaction id, and no lock but
//! ACCESS SHARE on catalogs.

/// Once for each connection: whatever the role's own settings are, it can't write and it can't hang.
pub(super) const SET_UP: &str = "SET search_path = pg_catalog, pg_temp; \
     SET default_transaction_read_only = on; \
     SET statement_timeout = '10s'; \
     SET lock_timeout = '2s'";

/// Locks that ALTER TABLE and the like wait for are told from SHARE UPDATE EXCLUSIVE on: weaker ones are held by
/// every statement. Source: manual, "Table-Level Locks".
const STRONG: &str = "('ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', \
     'AccessExclusiveLock')";

/// Rows of one kind that are told at most; who needs more has other worries.
const ROWS_LIMIT: u32 = 500;

/// The question. Idle sessions with those process ids are left out of the answer.
pub(super) fn look(own: &[u32]) -> String {
    let own: Vec<String> = own.iter().map(ToString::to_string).collect();
    let own = own.join(",");
    format!(
        "SELECT json_build_object(
  'monitor', pg_backend_pid(),
  'role', current_user,
  'version', current_setting('server_version'),
  'is_standby', pg_is_in_recovery(),
  'sees_all', pg_has_role('pg_read_all_stats', 'USAGE'),
  'xmax', CASE WHEN pg_is_in_recovery() THEN 0 ELSE pg_snapshot_xmax(pg_current_snapshot())::text::numeric END,
  'wal', CASE WHEN pg_is_in_recovery() THEN coalesce(pg_last_wal_replay_lsn(), '0/0')
              ELSE pg_current_wal_insert_lsn() END,
  'autovacuum', current_setting('autovacuum')::bool,
  'autovacuum_runs', (SELECT coalesce(sum(autovacuum_count + autoanalyze_count), 0) FROM pg_stat_all_tables),
  'temporary_relations', (SELECT count(*) FROM pg_class WHERE relpersistence = 't'),
  'cron_launches', current_setting('cron.launch_active_jobs', true) NOT IN ('off', 'false', 'no', '0'),
  'backends', coalesce((SELECT json_agg(json_build_object(
      'pid', pid, 'leader_pid', leader_pid, 'kind', backend_type, 'user', usename, 'database', datname,
      'application', application_name, 'address', host(client_addr), 'state', state,
      'has_xid', backend_xid IS NOT NULL,
      'transaction_age_s', CASE WHEN xact_start IS NOT NULL
        THEN greatest(extract(epoch FROM clock_timestamp() - xact_start)::int8, 0) END,
      'age_ms', CASE WHEN backend_start IS NOT NULL
        THEN greatest((1000 * extract(epoch FROM clock_timestamp() - backend_start))::int8, 0) END,
      'task', CASE WHEN backend_type = 'autovacuum worker' THEN left(query, 200) END))
    FROM pg_stat_activity
    WHERE backend_xid IS NOT NULL OR state IS DISTINCT FROM 'idle'
       OR pid <> ALL ('{{{own}}}'::int4[])), '[]'),
  'prepared', coalesce((SELECT json_agg(json_build_object(
      'gid', gid, 'owner', owner, 'database', database,
      'age_s', greatest(extract(epoch FROM clock_timestamp() - prepared)::int8, 0)))
    FROM (SELECT * FROM pg_prepared_xacts ORDER BY prepared LIMIT {ROWS_LIMIT}) AS p), '[]'),
  'slots', coalesce((SELECT json_agg(json_build_object(
      'name', slot_name, 'kind', slot_type, 'is_active', active))
    FROM (SELECT * FROM pg_replication_slots WHERE NOT temporary LIMIT {ROWS_LIMIT}) AS s), '[]'),
  'subscriptions', coalesce((SELECT json_agg(json_build_object(
      'name', s.subname, 'database', d.datname, 'is_enabled', s.subenabled))
    FROM pg_subscription AS s JOIN pg_database AS d ON d.oid = s.subdbid), '[]'),
  'locks', coalesce((SELECT json_agg(json_build_object(
      'pid', pid, 'mode', mode, 'database', datname, 'relation', relation, 'count', count))
    FROM (SELECT l.pid, l.mode, d.datname, count(*) AS count,
            min(CASE WHEN d.datname = current_database() THEN l.relation::regclass::text
                     ELSE 'relation ' || l.relation END) AS relation
          FROM pg_locks AS l LEFT JOIN pg_database AS d ON d.oid = l.database
          WHERE l.locktype = 'relation' AND l.granted AND l.mode IN {STRONG}
          GROUP BY l.pid, l.mode, d.datname LIMIT {ROWS_LIMIT}) AS l), '[]')
)::text"
    )
}

/// `system_identifier`; asked apart, as the right to may have been taken away.
pub(super) const IDENTIFIER: &str = "SELECT system_identifier::text FROM pg_control_system()";

/// Whether `pg_cron` keeps its jobs in this database. Its extension makes the schema `cron`.
pub(super) const HAS_CRON: &str = "SELECT 't' WHERE to_regclass('cron.job') IS NOT NULL";

/// Its active jobs; those of others are seen by a superuser, or one with BYPASSRLS.
pub(super) const CRON_JOBS: &str = "SELECT coalesce(json_agg(json_build_object(
    'id', jobid, 'schedule', schedule, 'database', database, 'user', username)), '[]')::text
  FROM cron.job WHERE active";
