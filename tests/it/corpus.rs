//! A corpus of statements of every kind, replayed into a frozen proxy: the database is afterwards what it was before,
//! and no transaction id was used. `FROSTGATE_CORPUS` names a gzip file of JSON lines with `sql`; without it the test
//! says that it is skipped.

use crate::support::{Postgres, Proxy, Wire};
use serde_json::Value;
use std::{
    env, fs,
    io::{BufRead as _, BufReader},
};

/// Something for the statements to read, and to try to write.
const SCHEMA: &str = "CREATE TABLE onek (unique1 int PRIMARY KEY, unique2 int, stringu1 name);
    INSERT INTO onek SELECT n, n * 2, 'n' || n FROM generate_series(1, 100) AS n;
    CREATE TABLE tenk1 AS SELECT * FROM onek; CREATE TABLE int4_tbl (f1 int4); INSERT INTO int4_tbl VALUES (1), (2);
    CREATE TABLE text_tbl (f1 text); INSERT INTO text_tbl VALUES ('a'); CREATE SEQUENCE s; CREATE VIEW v AS TABLE onek;
    CREATE TABLE int8_tbl (q1 int8, q2 int8); INSERT INTO int8_tbl VALUES (1, 2);
    CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS 'BEGIN INSERT INTO int4_tbl VALUES (3); RETURN 1; END';
    CREATE MATERIALIZED VIEW mv AS SELECT 1 AS a; CREATE SCHEMA extra; CREATE TABLE extra.t (a int);
    CREATE PROCEDURE p() LANGUAGE sql AS 'INSERT INTO int4_tbl VALUES (4)';
    CREATE RULE r AS ON INSERT TO text_tbl DO ALSO INSERT INTO int4_tbl VALUES (5)";

#[test]
fn a_corpus_of_every_kind_of_statement_changes_nothing_behind_a_frozen_proxy() {
    let Some(path) = env::var_os("FROSTGATE_CORPUS") else {
        println!("SKIPPED: FROSTGATE_CORPUS names no corpus");
        return;
    };
    let server = Postgres::start();
    server.sql("postgres", "ALTER SYSTEM SET autovacuum = off");
    server.sql("postgres", "SELECT pg_reload_conf()");
    let database = server.database();
    server.sql(&database, SCHEMA);
    let proxy = Proxy::spawn(&server);
    // A dump has everything that users made; what the relations hold, catalogs too, is looked at beside it, and is
    // all there is where the machine has no `pg_dump` for the server.
    proxy.freeze();
    let xmax = "SELECT pg_snapshot_xmax(pg_current_snapshot())";
    let (dump, contents) = (server.dump(&database), server.contents(&database));
    assert!(contents.contains("int4_tbl") && contents.contains("pg_proc"), "{contents}");
    let before = server.sql("postgres", xmax);
    let lines = BufReader::new(flate2::read::MultiGzDecoder::new(fs::File::open(path).unwrap())).lines();
    let mut client = None;
    let (mut asked, mut refused, mut answered) = (0, 0, 0);
    for line in lines {
        let case: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let open = client.take().unwrap_or_else(|| log_in(&proxy, &database));
        asked += 1;
        let (left, outcome) = replay(open, case["sql"].as_str().unwrap());
        client = left;
        match outcome {
            Outcome::Refused => refused += 1,
            Outcome::Answered => answered += 1,
            Outcome::Failed => {}
        }
    }
    println!("{asked} statements: {refused} refused, {answered} answered, the others failed on the server");
    assert!(asked > 1000 && refused > asked / 10 && answered > asked / 50, "{asked} {refused} {answered}");
    assert_eq!(server.sql("postgres", xmax), before, "a transaction id was used");
    assert!(server.dump(&database) == dump, "the dump differs");
    assert_eq!(server.contents(&database), contents, "a relation holds something else");
}

enum Outcome {
    Refused,
    Answered,
    Failed,
}

fn log_in(proxy: &Proxy, database: &str) -> Wire {
    proxy.connect(database)
}

/// Asks, and puts the session back to where it was. None: the session has ended.
fn replay(mut client: Wire, sql: &str) -> (Option<Wire>, Outcome) {
    let mut outcome = Outcome::Answered;
    for statement in
        ["SET statement_timeout = '500ms'", sql, "ROLLBACK", "RESET ROLE", "RESET SESSION AUTHORIZATION"]
    {
        client.say(|out| {
            out.query(statement);
        });
        loop {
            let Some(message) = client.next() else { return (None, Outcome::Failed) };
            match message.tag {
                'E' if statement == sql && message.field(b'C') == "25006" => outcome = Outcome::Refused,
                'E' if statement == sql => outcome = Outcome::Failed,
                // A copy that passed would wait for us for ever.
                'G' => panic!("a COPY FROM STDIN passed: {sql}"),
                'Z' => break,
                _ => {}
            }
        }
    }
    (Some(client), outcome)
}
