//! sqlx, with its pool and its own cache of prepared statements.

use futures_util::TryStreamExt as _;
use sqlx::{
    Connection as _, Executor as _, PgConnection, PgPool, Row as _,
    postgres::{PgConnectOptions, PgDatabaseError, PgListener, PgPoolCopyExt as _, PgPoolOptions},
};
use std::{env, process::Command};

const TYPES: &str = "SELECT 7::int2, 42::int4, 9007199254740993::int8, 1.5::float8, 12.3450::numeric::text, \
    'Grüße'::text, '\\xdeadbeef'::bytea, true, ARRAY[1,2]";
const READ: &str = "SELECT count(*) FROM notes";
const INSERT: &str = "INSERT INTO notes (body) VALUES ($1)";
const WHO: &str = "SELECT pg_backend_pid()";

fn say(what: &str, value: impl std::fmt::Display) {
    println!("{what}: {value}");
}

fn refusal<T>(outcome: Result<T, sqlx::Error>) -> String {
    match outcome {
        Ok(_) => "nothing was refused".to_owned(),
        Err(sqlx::Error::Database(error)) => {
            let server = error.downcast_ref::<PgDatabaseError>();
            format!("sqlx::Error::Database(PgDatabaseError) {} {}", server.code(), server.message())
        }
        Err(other) => format!("{other:?}"),
    }
}

fn turn(command: &str) {
    let done = Command::new("sh").args(["-c", &env::var(command).unwrap()]).output().unwrap();
    assert!(done.status.success(), "{command}: {done:?}");
}

// From PGHOST and the others.
async fn connect() -> Result<PgConnection, sqlx::Error> {
    PgConnection::connect_with(&PgConnectOptions::new()).await
}

async fn pool(size: u32) -> Result<PgPool, sqlx::Error> {
    PgPoolOptions::new().max_connections(size).connect_with(PgConnectOptions::new()).await
}

async fn plain() -> Result<(), sqlx::Error> {
    let mut db = connect().await?;
    let row = sqlx::query(TYPES).fetch_one(&mut db).await?;
    let values = (
        row.get::<i16, _>(0),
        row.get::<i32, _>(1),
        row.get::<i64, _>(2),
        row.get::<f64, _>(3),
        row.get::<String, _>(4),
        row.get::<String, _>(5),
        row.get::<Vec<u8>, _>(6),
        row.get::<bool, _>(7),
        row.get::<Vec<i32>, _>(8),
    );
    say("types", format!("{values:?}"));
    for n in 0..8_i32 {
        let asked = sqlx::query_as::<_, (i32, String)>("SELECT $1 + 1, $2::text");
        say("prepared", format!("{:?}", asked.bind(n).bind("ä").fetch_one(&mut db).await?));
    }
    let returning = format!("{INSERT} RETURNING id");
    say("returning", sqlx::query_scalar::<_, i32>(&returning).bind("third").fetch_one(&mut db).await?);
    say("updated", db.execute("UPDATE notes SET body = body || '!'").await?.rows_affected());
    say("unique", refusal(sqlx::query(INSERT).bind("third!").execute(&mut db).await));
    say("syntax", refusal(db.execute("SELEC 1").await));
    let mut outer = db.begin().await?;
    sqlx::query(INSERT).bind("kept").execute(&mut *outer).await?;
    let mut inner = outer.begin().await?;
    sqlx::query(INSERT).bind("dropped").execute(&mut *inner).await?;
    drop(inner); // is rolled back
    outer.commit().await?;
    let notes: Vec<String> =
        sqlx::query_scalar("SELECT body FROM notes ORDER BY id").fetch_all(&mut db).await?;
    say("notes", format!("{notes:?}"));
    let rows = sqlx::query_scalar::<_, i32>("SELECT generate_series(1, 5000)").fetch(&mut db);
    say("streamed", rows.try_fold(0_i64, async |sum, n| Ok(sum + i64::from(n))).await?);
    let described = db.describe(INSERT).await?;
    say("described", format!("{:?}", described.parameters));
    let pool = pool(3).await?;
    let mut copy = pool.copy_in_raw("COPY notes (body) FROM STDIN").await?;
    copy.send("one\ntwo\n".as_bytes()).await?;
    say("copied", copy.finish().await?);
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen("news").await?;
    pool.execute("NOTIFY news, 'hello'").await?;
    say("notified", listener.recv().await?.payload());
    for _ in 0..6 {
        say("pool", sqlx::query_scalar::<_, i64>(READ).fetch_one(&pool).await?);
    }
    Ok(())
}

async fn frozen() -> Result<(), sqlx::Error> {
    let (mut db, pool) = (connect().await?, pool(1).await?);
    let pid: i32 = sqlx::query_scalar(WHO).fetch_one(&mut db).await?;
    let pooled: i32 = sqlx::query_scalar(WHO).fetch_one(&pool).await?;
    sqlx::query(INSERT).bind("before").execute(&mut db).await?;
    sqlx::query(READ).fetch_one(&mut db).await?;
    turn("FREEZE");
    say("simple read", db.fetch_one(READ).await?.get::<i64, _>(0));
    say("prepared read", sqlx::query_scalar::<_, i64>(READ).fetch_one(&mut db).await?);
    let mut transaction = db.begin().await?;
    let read = sqlx::query_scalar::<_, i64>(READ).fetch_one(&mut *transaction).await?;
    say("read in a transaction", read);
    transaction.commit().await?;
    say("read in a pool", sqlx::query_scalar::<_, i64>(READ).fetch_one(&pool).await?);
    say("write", refusal(db.execute("INSERT INTO notes (body) VALUES ('refused')").await));
    say("prepared write", refusal(sqlx::query(INSERT).bind("refused").execute(&mut db).await));
    let mut transaction = db.begin().await?;
    let update = sqlx::query("UPDATE notes SET body = 'refused' WHERE id = $1").bind(1);
    say("write in a transaction", refusal(update.execute(&mut *transaction).await));
    transaction.rollback().await?;
    say("write in a pool", refusal(sqlx::query(INSERT).bind("refused").execute(&pool).await));
    say("read after it", sqlx::query_scalar::<_, i64>(READ).fetch_one(&mut db).await?);
    say("read in the pool after it", sqlx::query_scalar::<_, i64>(READ).fetch_one(&pool).await?);
    say("same connection in the pool", sqlx::query_scalar::<_, i32>(WHO).fetch_one(&pool).await? == pooled);
    say("same connection", sqlx::query_scalar::<_, i32>(WHO).fetch_one(&mut db).await? == pid);
    turn("THAW");
    say("thawed, prepared read", sqlx::query_scalar::<_, i64>(READ).fetch_one(&mut db).await?);
    say("thawed, prepared write", sqlx::query(INSERT).bind("after").execute(&mut db).await?.rows_affected());
    let written = sqlx::query(INSERT).bind("after, in the pool").execute(&pool).await?;
    say("thawed, write in the pool", written.rows_affected());
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), sqlx::Error> {
    match env::args().nth(1).as_deref() {
        Some("plain") => plain().await,
        _ => frozen().await,
    }
}
