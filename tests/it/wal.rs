//! What was written is read from the log, where `pg_walinspect` lets it: neither a writer that hides behind autovacuum's
//! work nor an alarm about that work.

use crate::{
    check::{monitored, server, turn, violations},
    support::{Postgres, Proxy, Ran, eventually},
};
use serde_json::Value;
use std::process::Stdio;

/// Who may read the log, and whether anybody can.
fn reader(server: &Postgres) -> bool {
    let available = "SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_walinspect'";
    if server.sql("postgres", available) == "0" {
        println!("SKIPPED: this server has no pg_walinspect, which came with 15");
        return false;
    }
    server.sql("postgres", "CREATE EXTENSION IF NOT EXISTS pg_walinspect");
    server.sql(
        "postgres",
        "DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN IN ROLE pg_monitor, pg_read_server_files",
    );
    true
}

/// What `verify` says of a stretch in which that was done beside the proxy, by somebody who is expected.
fn verified(server: &Postgres, proxy: &Proxy, work: &dyn Fn()) -> (Ran, Value) {
    for _attempt in 0..10 {
        let began = server.sql("postgres", "SELECT clock_timestamp()");
        let mut watching = proxy.verb(&["verify", "--for", "2s", "--json"]);
        let watching = watching.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let looked = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE usename = 'reader' AND query_start > '{began}'"
        );
        eventually("the first look", || (server.sql("postgres", &looked) == "1").then_some(()));
        work();
        let ran = Ran::of(&watching.wait_with_output().unwrap());
        let report = ran.json();
        // A look of the proxy's own may have been taken for the first.
        if report["transaction_ids"] != 0 {
            return (ran, report);
        }
    }
    panic!("no look was between");
}

fn moved(report: &Value) -> String {
    let all = report["findings"].as_array().unwrap().iter();
    let what =
        all.filter(|finding| finding["kind"] == "transaction_ids").map(|finding| finding["what"].to_string());
    what.collect()
}

#[test]
fn a_write_beside_an_analyze_is_told_from_it_by_the_log() {
    let _turn = turn();
    let server = server();
    if !reader(server) {
        return;
    }
    let database = server.database();
    server.sql(&database, "INSERT INTO t SELECT generate_series(1, 1000); CREATE UNLOGGED TABLE u (a int)");
    let proxy = monitored(server, "reader", &["--expect", "user=postgres"]);
    proxy.freeze();
    // Autovacuum is off on this server: whoever does its work is somebody. What the log calls it is told.
    let (ran, report) = verified(server, &proxy, &|| drop(server.sql(&database, "VACUUM ANALYZE t")));
    assert_eq!((ran.code, report["proof"].as_str()), (7, Some("moved")), "{ran:?}");
    assert!(moved(&report).contains(" of VACUUM or ANALYZE"), "{report}");
    for (write, told) in [
        ("INSERT INTO t VALUES (1)", "Heap/INSERT"),
        ("INSERT INTO u VALUES (1)", "a commit alone"),
        ("CREATE TYPE pair AS (a int, b int)", "Heap/"),
        ("CREATE VIEW seen AS SELECT 1", "Heap/"),
        ("DROP VIEW seen", "Heap/"),
        ("TRUNCATE t", "Heap/"),
        ("BEGIN; INSERT INTO u VALUES (2); SELECT count(*) FROM t; COMMIT", "that wrote"),
    ] {
        let both = || drop((server.sql(&database, "ANALYZE t"), server.sql(&database, write)));
        let (ran, report) = verified(server, &proxy, &both);
        assert_eq!(
            (ran.code, violations(&report)),
            (7, vec!["transaction_ids".to_owned()]),
            "{write}: {ran:?}"
        );
        assert!(moved(&report).contains(told), "{write}: {report}");
    }
    let (_ran, report) =
        verified(server, &proxy, &|| drop(server.sql("postgres", "CREATE TABLE here (); DROP TABLE here")));
    assert!(
        moved(&report).contains(" in pg_"),
        "in the monitor's own database a relation has its name: {report}"
    );
}

#[test]
fn temporary_tables_that_end_with_their_session_are_told_from_dropped_ones() {
    let _turn = turn();
    let server = server();
    if !reader(server) {
        return;
    }
    let database = server.database();
    let proxy = monitored(server, "reader", &["--expect", "user=postgres"]);
    let session = std::cell::RefCell::new(None);
    let mut client = proxy.connect(&database);
    let made =
        "CREATE TEMPORARY TABLE mine (a int PRIMARY KEY, b text DEFAULT 'x'); CREATE TEMPORARY SEQUENCE s";
    assert_eq!(client.ask(made), "CC I");
    session.replace(Some(client));
    proxy.freeze();
    let (ran, report) = verified(server, &proxy, &|| {
        let pid = "SELECT count(*) FROM pg_class WHERE relname = 'mine'";
        drop(session.take());
        eventually("the tables are dropped", || (server.sql(&database, pid) == "0").then_some(()));
    });
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(moved(&report).contains("ended temporary tables"), "{report}");
}
