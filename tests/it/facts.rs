//! PostgreSQL's own behaviour that the fence, the drain and the check stand on, each tried on the server itself and
//! without the proxy. If a new version answers otherwise, it is here that it shows.

use crate::{
    check::{server, turn},
    support::{Postgres, Wire},
};

const XMAX: &str = "SELECT pg_snapshot_xmax(pg_current_snapshot())";

pub(crate) fn major(server: &Postgres) -> u32 {
    server.sql("postgres", "SHOW server_version_num").parse::<u32>().unwrap() / 10_000
}

pub(crate) fn connect(server: &Postgres, database: &str) -> Wire {
    Wire::connect(server.port, database)
}

/// How far the transaction ids move while that runs. Autovacuum is off, and nobody else is there.
fn used(server: &Postgres, database: &str, statements: &[&str]) -> u64 {
    let mut look = connect(server, "postgres");
    let mut run = connect(server, database);
    let before: u64 = look.value(XMAX).parse().unwrap();
    for statement in statements {
        run.ask(statement);
    }
    look.value(XMAX).parse::<u64>().unwrap() - before
}

#[test]
fn transaction_ids_stay_where_they_are_through_reads_and_refused_writes_and_move_with_every_write() {
    let _turn = turn();
    let server = server();
    let database = server.database();
    for still in [
        &["SELECT count(*) FROM t"][..],
        &["BEGIN", "COMMIT"],
        &["CHECKPOINT"],
        &["UPDATE t SET a = 1 WHERE false"],
        &["BEGIN READ ONLY", "INSERT INTO t VALUES (1)", "ROLLBACK"],
        &["LISTEN x"],
        &["BEGIN", "LOCK TABLE t IN SHARE ROW EXCLUSIVE MODE", "COMMIT"],
        &["SET default_transaction_read_only = on", "INSERT INTO t VALUES (1)", "RESET ALL"],
    ] {
        assert_eq!(used(server, &database, still), 0, "{still:?}");
    }
    server.sql(&database, "INSERT INTO t VALUES (0)");
    for moves in [
        &["INSERT INTO t VALUES (1)"][..],
        &["BEGIN", "INSERT INTO t VALUES (1)", "ROLLBACK"],
        &["SELECT * FROM t FOR UPDATE"],
        &["NOTIFY x"],
        &["ANALYZE t"],
        &["TRUNCATE t"],
        &["SELECT pg_current_xact_id()"],
        &["BEGIN", "LOCK TABLE t IN ACCESS EXCLUSIVE MODE", "COMMIT"],
        &["CREATE TEMPORARY TABLE mine (a int)"],
    ] {
        assert!(used(server, &database, moves) > 0, "{moves:?}");
    }
}

#[test]
fn a_write_under_way_does_not_move_them_but_its_session_shows_an_id_to_everybody() {
    let _turn = turn();
    let server = server();
    let database = server.database();
    let mut writer = connect(server, &database);
    assert_eq!(used(server, &database, &[]), 0);
    let before = server.sql("postgres", XMAX);
    writer.ask("BEGIN; INSERT INTO t VALUES (1)");
    assert_eq!(server.sql("postgres", XMAX), before);
    let mut plain = Wire::open(server.port);
    plain.log_in(&[("user", "plain"), ("database", "postgres")]);
    let seen = format!(
        "SELECT bool_and(backend_xid IS NOT NULL AND usename IS NOT NULL AND state IS NULL AND backend_type IS NULL) \
         FROM pg_stat_activity WHERE datname = '{database}'"
    );
    assert_eq!(plain.value(&seen), "t");
    writer.ask("COMMIT");
    assert_ne!(server.sql("postgres", XMAX), before);
}

#[test]
fn a_notification_takes_its_id_only_when_it_is_committed() {
    let _turn = turn();
    let server = server();
    let database = server.database();
    let mut client = connect(server, &database);
    client.ask("BEGIN; NOTIFY x");
    assert_eq!(client.value("SELECT pg_current_xact_id_if_assigned() IS NULL"), "t");
    let before = server.sql("postgres", XMAX);
    client.ask("COMMIT");
    assert_ne!(server.sql("postgres", XMAX), before);
}

#[test]
fn a_prepared_transaction_has_no_session_and_can_be_committed_read_only() {
    let _turn = turn();
    let server = server();
    let database = server.database();
    server.sql(&database, "BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'fact'");
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE backend_xid IS NOT NULL";
    assert_eq!(server.sql("postgres", sessions), "0");
    assert_eq!(server.sql("postgres", "SELECT gid FROM pg_prepared_xacts"), "fact");
    let mut client = connect(server, &database);
    client.ask("SET default_transaction_read_only = on");
    assert_eq!(client.ask("COMMIT PREPARED 'fact'"), "C I");
    assert_eq!(server.rows(&database), 1);
}

#[test]
fn dropping_temporary_tables_takes_an_id_though_the_session_is_read_only() {
    let _turn = turn();
    let server = server();
    let database = server.database();
    let used_by = |last: &str| {
        used(
            server,
            &database,
            &["CREATE TEMPORARY TABLE mine (a int)", "SET default_transaction_read_only = on", last],
        )
    };
    assert_eq!(used_by("SELECT 1") + 1, used_by("DISCARD TEMP"));
}

#[test]
fn explain_analyze_makes_a_table_in_a_read_only_transaction() {
    let _turn = turn();
    let server = server();
    let database = server.database();
    let mut client = connect(server, &database);
    client.ask("BEGIN READ ONLY");
    assert!(client.ask("EXPLAIN ANALYZE CREATE TABLE hole AS SELECT 1").ends_with("C T"));
    client.ask("COMMIT");
    assert_eq!(server.sql(&database, "SELECT count(*) FROM hole"), "1");
}

#[test]
fn read_only_mode_can_be_reset_before_16_and_not_since() {
    let _turn = turn();
    let server = server();
    let database = server.database();
    let mut client = connect(server, &database);
    client.ask("BEGIN READ ONLY");
    client.ask("SELECT 1");
    let reset = client.ask("RESET transaction_read_only");
    assert_eq!(reset.starts_with('C'), major(server) < 16, "{reset}");
    assert_eq!(client.ask("INSERT INTO t VALUES (1)").starts_with('C'), major(server) < 16);
}

#[test]
fn a_fence_by_set_is_taken_down_by_reset_all_and_one_at_login_is_not() {
    let _turn = turn();
    let server = server();
    let database = server.database();
    let mut client = connect(server, &database);
    client.ask("SET default_transaction_read_only = on");
    client.ask("RESET ALL");
    assert_eq!(client.ask("INSERT INTO t VALUES (1)"), "C I");
    let mut client = Wire::open(server.port);
    client.log_in(&[("user", "postgres"), ("database", &database), ("default_transaction_read_only", "on")]);
    client.ask("DISCARD ALL");
    assert_eq!(client.ask("INSERT INTO t VALUES (1)"), "E25006 I");
}

#[test]
fn a_fence_put_up_in_a_savepoint_falls_with_it_and_one_in_an_open_block_does_not_hold_it() {
    let _turn = turn();
    let server = server();
    let database = server.database();
    for end in ["ROLLBACK TO s", "RELEASE s"] {
        let mut client = connect(server, &database);
        client.ask("BEGIN; SAVEPOINT s");
        client.ask("SET TRANSACTION READ ONLY");
        assert_eq!(client.ask("SAVEPOINT t"), "C T");
        client.ask("ROLLBACK TO t");
        client.ask(end);
        assert_eq!(client.ask("INSERT INTO t VALUES (1)"), "C T", "{end}");
    }
    let mut client = connect(server, &database);
    client.ask("BEGIN");
    client.ask("SET default_transaction_read_only = on");
    assert_eq!(client.ask("INSERT INTO t VALUES (1)"), "C T");
    assert_eq!(client.ask("COMMIT AND CHAIN"), "C T");
    assert_eq!(client.ask("INSERT INTO t VALUES (1)"), "C T", "a chained one keeps the mode");
}

#[test]
fn anybody_may_ask_for_the_servers_identity() {
    let _turn = turn();
    let server = server();
    let mut plain = Wire::open(server.port);
    plain.log_in(&[("user", "plain"), ("database", "postgres")]);
    let asked = plain.value("SELECT system_identifier FROM pg_control_system()");
    assert_eq!(asked, server.sql("postgres", "SELECT system_identifier FROM pg_control_system()"));
}
