//! What a freeze would meet: looked at before it, by one who is logged in to the application's database.

use super::{error::MonitorError, principal::Sitting};

/// How much a finding matters, what it is about, and what it says.
pub type Row = (String, String, String);

/// Each gives rows of weight (`info`, `warn`, `stop`), topic and text. What the role may not ask is said so.
const QUESTIONS: [(&str, &str); 8] = [
    (
        "recovery",
        "SELECT 'stop', 'recovery', 'the server is a standby: nothing can be written there anyway' \
         WHERE pg_is_in_recovery()",
    ),
    (
        "transactions",
        "SELECT CASE WHEN backend_xid IS NOT NULL THEN 'warn' ELSE 'info' END, 'transactions', \
         format('process %s (%s, %s, application %L) has had a transaction open for %s s, state %s%s', pid, usename, \
         datname, application_name, extract(epoch FROM now() - xact_start)::int, state, \
         CASE WHEN backend_xid IS NOT NULL THEN ', and has written: the drain waits for it' ELSE '' END) \
         FROM pg_stat_activity WHERE xact_start < now() - interval '30 s' AND pid <> pg_backend_pid() \
         AND backend_type = 'client backend' ORDER BY xact_start LIMIT 20",
    ),
    (
        "prepared",
        "SELECT 'warn', 'prepared', format('prepared transaction %L of %s in %s, since %s: once frozen it can be neither \
         committed nor rolled back through the proxy', gid, owner, database, prepared) FROM pg_prepared_xacts LIMIT 20",
    ),
    (
        "locks",
        "SELECT 'warn', 'locks', format('process %s (%s, application %L) holds %s on %s: a migration would wait for it', \
         l.pid, a.usename, a.application_name, l.mode, l.relation::regclass) FROM pg_locks l JOIN pg_stat_activity a \
         ON a.pid = l.pid WHERE l.granted AND l.locktype = 'relation' AND l.database = (SELECT oid FROM pg_database \
         WHERE datname = current_database()) AND l.pid <> pg_backend_pid() AND l.relation >= 16384 \
         AND (l.mode LIKE '%Exclusive%') AND l.mode <> 'RowExclusiveLock' LIMIT 20",
    ),
    (
        "slots",
        "SELECT CASE WHEN active THEN 'info' ELSE 'warn' END, 'slots', format('slot %s (%s, %s) is %s behind', slot_name, \
         slot_type, CASE WHEN active THEN 'active' ELSE 'NOT active' END, pg_size_pretty(pg_wal_lsn_diff( \
         pg_current_wal_lsn(), restart_lsn))) FROM pg_replication_slots WHERE NOT pg_is_in_recovery() LIMIT 20",
    ),
    (
        "jobs",
        "SELECT 'warn', 'jobs', 'pg_cron is installed: its jobs do not come through the proxy; see frostgate verify' \
         FROM pg_extension WHERE extname = 'pg_cron' UNION ALL SELECT 'warn', 'jobs', \
         'a subscription applies changes of another server, past the proxy' FROM pg_stat_subscription WHERE pid IS NOT NULL \
         LIMIT 20",
    ),
    (
        "rights",
        "SELECT 'warn', 'rights', format('%s is no member of pg_monitor: not all of this could be seen', current_user) \
         WHERE NOT pg_has_role(current_user, 'pg_monitor', 'member')",
    ),
    (
        "bypassers",
        "SELECT 'info', 'connections', format('%s connection(s) to %s from %s', count(*), datname, \
         coalesce(host(client_addr), 'a socket')) FROM pg_stat_activity WHERE backend_type = 'client backend' \
         AND pid <> pg_backend_pid() GROUP BY datname, client_addr ORDER BY count(*) DESC LIMIT 20",
    ),
];

/// A job queue that lives in a table: its name, its table, what is queued there, what is running, since when, and what
/// a freeze does to it. Source: each project's schema.
struct Queue {
    name: &'static str,
    table: &'static str,
    queued: &'static str,
    running: &'static str,
    oldest: &'static str,
    fate: &'static str,
}

const REFUSED: &str = "fetching is refused; its workers log errors until the thaw";

const QUEUES: [Queue; 12] = [
    Queue {
        name: "GoodJob",
        table: "good_jobs",
        queued: "finished_at IS NULL AND performed_at IS NULL",
        running: "finished_at IS NULL AND performed_at IS NOT NULL",
        oldest: "created_at",
        fate: "it locks, then its UPDATE is refused: no job runs, heartbeats make noise",
    },
    Queue {
        name: "Solid Queue",
        table: "solid_queue_jobs",
        queued: "finished_at IS NULL",
        running: "id IN (SELECT job_id FROM solid_queue_claimed_executions)",
        oldest: "created_at",
        fate: "fetching is refused; before 1.7 that takes Puma down: stop its workers",
    },
    Queue {
        name: "Que",
        table: "que_jobs",
        queued: "finished_at IS NULL AND expired_at IS NULL",
        running: "false",
        oldest: "run_at",
        fate: "jobs run and their bookkeeping is refused: they run AGAIN after the thaw; stop its workers, or deny them",
    },
    Queue {
        name: "Delayed Job",
        table: "delayed_jobs",
        queued: "locked_at IS NULL AND failed_at IS NULL",
        running: "locked_at IS NOT NULL AND failed_at IS NULL",
        oldest: "run_at",
        fate: "its workers end after ten refusals: start them again after the thaw",
    },
    Queue {
        name: "Oban",
        table: "oban_jobs",
        queued: "state::text IN ('available', 'scheduled', 'retryable')",
        running: "state::text = 'executing'",
        oldest: "inserted_at",
        fate: "what is executing stays so, and is rescued later: it may run twice",
    },
    Queue {
        name: "River",
        table: "river_job",
        queued: "state::text IN ('available', 'scheduled', 'retryable')",
        running: "state::text = 'running'",
        oldest: "created_at",
        fate: "what is running stays so, and is rescued an hour later: it may run twice",
    },
    Queue {
        name: "graphile-worker",
        table: "graphile_worker.jobs",
        queued: "locked_at IS NULL",
        running: "locked_at IS NOT NULL",
        oldest: "run_at",
        fate: "its workers stop for good after repeated errors: start them again after the thaw",
    },
    Queue {
        name: "pg-boss",
        table: "pgboss.job",
        queued: "state::text IN ('created', 'retry')",
        running: "state::text = 'active'",
        oldest: "start_after",
        fate: REFUSED,
    },
    Queue {
        name: "Laravel",
        table: "jobs",
        queued: "reserved_at IS NULL",
        running: "reserved_at IS NOT NULL",
        oldest: "to_timestamp(created_at)",
        fate: "what is reserved runs again after retry_after",
    },
    Queue {
        name: "Django-Q",
        table: "django_q_ormq",
        queued: "lock <= now()",
        running: "lock > now()",
        oldest: "lock",
        fate: REFUSED,
    },
    Queue {
        name: "Celery (kombu)",
        table: "kombu_message",
        queued: "visible",
        running: "NOT visible",
        oldest: "timestamp",
        fate: REFUSED,
    },
    Queue {
        name: "Celery (django)",
        table: "djkombu_message",
        queued: "visible",
        running: "NOT visible",
        oldest: "sent_at",
        fate: REFUSED,
    },
];

/// Looks.
///
/// # Errors
/// The connection broke.
pub async fn preflight(sitting: &Sitting) -> Result<Vec<Row>, MonitorError> {
    let mut rows = Vec::new();
    for (topic, question) in QUESTIONS {
        match sitting.ask(question).await {
            Ok(answer) => rows.extend(answer.into_iter().filter_map(row)),
            Err(error) => rows.push(unanswered(topic, error)?),
        }
    }
    for queue in &QUEUES {
        if let Some(row) = look_at(sitting, queue).await? {
            rows.push(row);
        }
    }
    Ok(rows)
}

fn row(row: Vec<Option<String>>) -> Option<Row> {
    let mut texts = row.into_iter().map(Option::unwrap_or_default);
    Some((texts.next()?, texts.next()?, texts.next()?))
}

/// What the server would not answer is said so; a connection that broke ends it.
fn unanswered(topic: &str, error: MonitorError) -> Result<Row, MonitorError> {
    let said = match &error {
        MonitorError::Asking(error) => error.as_db_error(),
        MonitorError::Unreachable(_)
        | MonitorError::Login(_)
        | MonitorError::TooSlow { .. }
        | MonitorError::Answer(_)
        | MonitorError::NoAnswer => None,
    };
    match said {
        Some(said) => {
            Ok(("warn".into(), topic.into(), format!("could not be looked at: {}", said.message())))
        }
        None => Err(error),
    }
}

async fn look_at(sitting: &Sitting, queue: &Queue) -> Result<Option<Row>, MonitorError> {
    let Queue { name, table, queued, running, oldest, fate } = queue;
    let is_there = sitting.ask(&format!("SELECT 1 WHERE to_regclass('{table}') IS NOT NULL")).await?;
    if is_there.is_empty() {
        return Ok(None);
    }
    let question = format!(
        "SELECT CASE WHEN count(*) FILTER (WHERE {running}) > 0 OR '{name}' = 'Que' THEN 'warn' ELSE 'info' END, 'queue', \
         format('{name} ({table}): %s queued, %s running, the oldest is %s s old; {fate}', count(*) FILTER (WHERE {queued}), \
         count(*) FILTER (WHERE {running}), coalesce(extract(epoch FROM now() - min({oldest}) FILTER (WHERE ({queued}) OR \
         ({running})))::int, 0)) FROM {table}"
    );
    match sitting.ask(&question).await {
        Ok(answer) => Ok(answer.into_iter().find_map(row)),
        // A table of that name that is somebody else's.
        Err(error) => unanswered("queue", error).map(|(_, topic, why)| {
            Some(("info".into(), topic, format!("{table} looks like {name}'s, but {why}")))
        }),
    }
}
