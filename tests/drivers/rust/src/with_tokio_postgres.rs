//! tokio-postgres, with deadpool's pool.

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod};
use futures_util::{SinkExt as _, TryStreamExt as _, future::try_join_all, pin_mut, stream};
use std::{env, error::Error as _, process::Command, time::Duration};
use tokio_postgres::{Client, Config, Error, NoTls, SimpleQueryMessage, error::SqlState};

type Any = Box<dyn std::error::Error>;

const TYPES: &str = "SELECT 7::int2, 42::int4, 9007199254740993::int8, 1.5::float8, 12.3450::numeric::text, \
    'Grüße'::text, '\\xdeadbeef'::bytea, true, ARRAY[1,2,NULL], '{\"a\": [1, null]}'::jsonb::text";
const READ: &str = "SELECT count(*) FROM notes";
const INSERT: &str = "INSERT INTO notes (body) VALUES ($1)";

fn say(what: &str, value: impl std::fmt::Display) {
    println!("{what}: {value}");
}

fn told(error: &Error) -> String {
    let Some(server) = error.as_db_error() else { return format!("{error}: {:?}", error.source()) };
    let name = match *server.code() {
        SqlState::READ_ONLY_SQL_TRANSACTION => "READ_ONLY_SQL_TRANSACTION",
        SqlState::UNIQUE_VIOLATION => "UNIQUE_VIOLATION",
        SqlState::SYNTAX_ERROR => "SYNTAX_ERROR",
        SqlState::QUERY_CANCELED => "QUERY_CANCELED",
        _ => "?",
    };
    format!("tokio_postgres::Error(SqlState::{name}) {} {}", server.code().code(), server.message())
}

fn refusal<T>(outcome: Result<T, Error>) -> String {
    outcome.map_or_else(|error| told(&error), |_| "nothing was refused".to_owned())
}

fn turn(command: &str) {
    let done = Command::new("sh").args(["-c", &env::var(command).unwrap()]).output().unwrap();
    assert!(done.status.success(), "{command}: {done:?}");
}

fn config() -> Config {
    let from = |name: &str| env::var(name).unwrap();
    let mut config = Config::new();
    config.host(from("PGHOST")).port(from("PGPORT").parse().unwrap()).dbname(from("PGDATABASE"));
    config.user(from("PGUSER")).password(from("PGPASSWORD"));
    config
}

async fn connect() -> Result<Client, Error> {
    let (client, connection) = config().connect(NoTls).await?;
    tokio::spawn(async move { connection.await.unwrap() });
    Ok(client)
}

fn pool(size: usize) -> Result<Pool, Any> {
    let manager =
        Manager::from_config(config(), NoTls, ManagerConfig { recycling_method: RecyclingMethod::Verified });
    Ok(Pool::builder(manager).max_size(size).build()?)
}

/// The first value of the first row of a simple query.
async fn simple(db: &Client, sql: &str) -> Result<String, Error> {
    for message in db.simple_query(sql).await? {
        if let SimpleQueryMessage::Row(row) = message {
            return Ok(row.get(0).unwrap_or_default().to_owned());
        }
    }
    Ok(String::new())
}

async fn plain() -> Result<(), Any> {
    let mut db = connect().await?;
    let row = db.query_one(TYPES, &[]).await?;
    let types: Vec<_> = row.columns().iter().map(|column| column.type_().name()).collect();
    say("types", format!("{types:?}"));
    say(
        "values",
        format!(
            "{:?}",
            (
                row.get::<_, i16>(0),
                row.get::<_, i32>(1),
                row.get::<_, i64>(2),
                row.get::<_, f64>(3),
                row.get::<_, &str>(4),
                row.get::<_, &str>(5),
                row.get::<_, Vec<u8>>(6),
                row.get::<_, bool>(7),
                row.get::<_, Vec<Option<i32>>>(8),
                row.get::<_, &str>(9),
            )
        ),
    );
    let prepared = db.prepare("SELECT $1::int4 + 1, $2::text").await?;
    for n in 0..8_i32 {
        let row = db.query_one(&prepared, &[&n, &"ä".repeat(n.unsigned_abs() as usize)]).await?;
        say("prepared", format!("{} {}", row.get::<_, i32>(0), row.get::<_, &str>(1)));
    }
    let id: i32 = db.query_one(&format!("{INSERT} RETURNING id"), &[&"third"]).await?.get(0);
    say("returning", id);
    say("updated", db.execute("UPDATE notes SET body = body || '!'", &[]).await?);
    say("unique", refusal(db.execute(INSERT, &[&"third!"]).await));
    say("syntax", refusal(db.batch_execute("SELEC 1").await));
    let mut outer = db.transaction().await?;
    outer.execute(INSERT, &[&"kept"]).await?;
    let inner = outer.transaction().await?;
    inner.execute(INSERT, &[&"dropped"]).await?;
    inner.rollback().await?;
    outer.commit().await?;
    // Sent without waiting for each other.
    let counts = try_join_all((0..20).map(|_| db.query_one(READ, &[]))).await?;
    say("queued", counts.iter().map(|row| row.get::<_, i64>(0)).sum::<i64>());
    let sink = db.copy_in("COPY notes (body) FROM STDIN").await?;
    pin_mut!(sink);
    sink.send_all(&mut stream::iter(["one\n", "two\n"].map(|line| Ok(line.as_bytes())))).await?;
    say("copied", sink.finish().await?);
    let out = db.copy_out("COPY (SELECT body FROM notes ORDER BY id) TO STDOUT").await?;
    let lines: Vec<_> = out.try_collect().await?;
    say("notes", format!("{lines:?}"));
    let portal = db.transaction().await?;
    let cursor = portal.bind("SELECT generate_series(1, 500)", &[]).await?;
    let mut sum = 0_i64;
    loop {
        let rows = portal.query_portal(&cursor, 60).await?;
        if rows.is_empty() {
            break;
        }
        sum += rows.iter().map(|row| i64::from(row.get::<_, i32>(0))).sum::<i64>();
    }
    say("portal", sum);
    portal.commit().await?;
    let cancel = db.cancel_token();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        cancel.cancel_query(NoTls).await.unwrap();
    });
    say("cancelled", refusal(db.batch_execute("SELECT pg_sleep(20)").await));
    let pool = pool(3)?;
    for _ in 0..6 {
        say("pool", pool.get().await?.query_one(READ, &[]).await?.get::<_, i64>(0));
    }
    Ok(())
}

async fn frozen() -> Result<(), Any> {
    const WHO: &str = "SELECT pg_backend_pid()";
    let (mut db, pool) = (connect().await?, pool(1)?);
    let count = |row: tokio_postgres::Row| row.get::<_, i64>(0);
    let (pid, pooled) = (simple(&db, WHO).await?, simple(&*pool.get().await?, WHO).await?);
    let (read, write) = (db.prepare(READ).await?, db.prepare(INSERT).await?);
    db.execute(&write, &[&"before"]).await?;
    pool.get().await?.prepare_cached(INSERT).await?;
    turn("FREEZE");
    say("simple read", simple(&db, READ).await?);
    say("prepared read", count(db.query_one(&read, &[]).await?));
    let transaction = db.transaction().await?;
    say("read in a transaction", count(transaction.query_one(READ, &[]).await?));
    transaction.commit().await?;
    say("read in a pool", count(pool.get().await?.query_one(READ, &[]).await?));
    say("write", refusal(db.batch_execute("INSERT INTO notes (body) VALUES ('refused')").await));
    say("prepared write", refusal(db.execute(&write, &[&"refused"]).await));
    let transaction = db.transaction().await?;
    let update = "UPDATE notes SET body = 'refused' WHERE id = $1";
    say("write in a transaction", refusal(transaction.execute(update, &[&1]).await));
    transaction.rollback().await?;
    let client = pool.get().await?;
    let cached = client.prepare_cached(INSERT).await?;
    say("write in a pool", refusal(client.execute(&cached, &[&"refused"]).await));
    drop(client);
    say("read after it", count(db.query_one(READ, &[]).await?));
    say("read in the pool after it", count(pool.get().await?.query_one(READ, &[]).await?));
    say("same connection in the pool", simple(&*pool.get().await?, WHO).await? == pooled);
    say("same connection", simple(&db, WHO).await? == pid);
    turn("THAW");
    say("thawed, prepared read", count(db.query_one(&read, &[]).await?));
    say("thawed, prepared write", db.execute(&write, &[&"after"]).await?);
    let client = pool.get().await?;
    let cached = client.prepare_cached(INSERT).await?;
    say("thawed, write in the pool", client.execute(&cached, &[&"after, in the pool"]).await?);
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Any> {
    match env::args().nth(1).as_deref() {
        Some("plain") => plain().await,
        _ => frozen().await,
    }
}
