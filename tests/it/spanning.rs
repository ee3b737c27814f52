//! What PostgreSQL does with work that spans the instant of a freeze: begun before the fence, ended behind it. Each is
//! tried on the server itself, without the proxy: the drain and the fence stand on it.

use crate::{
    check::{server, turn},
    facts::{connect, major},
    support::{Postgres, Wire, eventually, message, short},
};
use frostgate::wire::startup::StartupMessage;

const FENCE: &str = "SET TRANSACTION READ ONLY";
const WRITING: &str = "CREATE FUNCTION writes(n int) RETURNS int LANGUAGE sql AS \
     'INSERT INTO t VALUES (n) RETURNING a'";

/// Execute of the unnamed portal, of so many rows at most.
fn execute_some(portal: &str, rows: u32) -> Vec<u8> {
    message(b'E', &[portal.as_bytes(), b"\0", &rows.to_be_bytes()].concat())
}

#[test]
fn what_wrote_before_the_fence_can_commit_behind_it_and_can_write_no_more() {
    let _turn = turn();
    let server = server();
    let database = server.database();
    let mut client = connect(server, &database);
    client.ask("BEGIN; INSERT INTO t VALUES (1)");
    assert_eq!(client.ask(FENCE), "C T");
    assert_eq!(client.ask("COMMIT"), "C I");
    assert_eq!(server.rows(&database), 1);
    client.ask("BEGIN; INSERT INTO t VALUES (1)");
    client.ask(FENCE);
    assert_eq!(client.ask("INSERT INTO t VALUES (2)"), "E25006 E");
    client.ask("ROLLBACK");
    client.ask("BEGIN; INSERT INTO t VALUES (1)");
    client.ask(FENCE);
    assert_eq!(client.ask("PREPARE TRANSACTION 'spanning'"), "C I");
    assert_eq!(client.ask("COMMIT PREPARED 'spanning'"), "C I");
    assert_eq!(server.rows(&database), 2);
}

#[test]
fn what_was_prepared_or_bound_before_is_rejected_when_it_is_executed() {
    let _turn = turn();
    let server = server();
    let database = server.database();
    let mut client = connect(server, &database);
    client.ask("PREPARE early AS INSERT INTO t VALUES (1)");
    client.ask("BEGIN");
    client.say(|out| {
        out.parse("late", "INSERT INTO t VALUES (2)").bind("bound", "late").sync();
    });
    client.until('Z');
    client.ask(FENCE);
    client.ask("SAVEPOINT s");
    client.say(|out| {
        out.execute("bound").sync();
    });
    assert_eq!(short(&client.until('Z')), "E25006 E");
    client.ask("ROLLBACK TO s");
    assert_eq!(client.ask("EXECUTE early"), "E25006 E");
}

#[test]
fn a_cursor_over_a_writing_function_writes_when_it_is_fetched_from_and_with_hold_when_it_is_committed() {
    let _turn = turn();
    let server = server();
    let database = server.database();
    server.sql(&database, WRITING);
    let mut client = connect(server, &database);
    client.ask("BEGIN; DECLARE c CURSOR FOR SELECT writes(1)");
    client.ask(FENCE);
    assert_eq!(client.ask("FETCH c"), "E25006 E");
    client.ask("ROLLBACK");
    client.ask("BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT writes(1)");
    assert_eq!(client.value("SELECT pg_current_xact_id_if_assigned() IS NULL"), "t");
    client.ask(FENCE);
    assert_eq!(client.ask("COMMIT"), "E25006 I");
    client.ask("BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT writes(1)");
    assert_eq!((client.ask("COMMIT"), server.rows(&database)), ("C I".into(), 1));
}

#[test]
fn a_suspended_portal_goes_on_writing_unless_a_function_of_it_does() {
    let _turn = turn();
    let server = server();
    let database = server.database();
    server.sql(&database, WRITING);
    for (sql, resumed, rows) in [
        ("SELECT writes(n) FROM generate_series(1, 3) AS n", "E25006", 0),
        ("INSERT INTO t SELECT generate_series(1, 3) RETURNING a", "DDC", 3),
    ] {
        let mut client = connect(server, &database);
        client.ask("BEGIN");
        client.say(|out| {
            out.parse("", sql).bind("p", "");
        });
        client.send(&execute_some("p", 1));
        client.say(|out| {
            out.sync();
        });
        assert_eq!(short(&client.until('Z')), "12Ds T");
        client.ask(FENCE);
        client.say(|out| {
            out.execute("p").sync();
        });
        assert!(short(&client.until('Z')).starts_with(resumed), "{sql}");
        client.ask("COMMIT");
        assert_eq!(server.rows(&database), rows, "{sql}");
    }
}

#[test]
fn a_statement_or_copy_under_way_keeps_its_mode_when_the_default_changes() {
    // One of its own: what is changed is the whole server's.
    let server = &Postgres::start();
    let database = server.database();
    let (mut copying, mut running) = (connect(server, &database), connect(server, &database));
    let mut look = connect(server, "postgres");
    copying.say(|out| {
        out.query("COPY t FROM STDIN");
    });
    copying.until('G');
    // It runs until the lock is given back, which is after the default has changed.
    let mut holder = connect(server, &database);
    holder.ask("SELECT pg_advisory_lock(5)");
    running.say(|out| {
        out.query("INSERT INTO t SELECT 1 FROM pg_advisory_lock_shared(5)");
    });
    let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
    eventually("the statement waits", || (look.value(waiting) == "1").then_some(()));
    server.sql("postgres", "ALTER SYSTEM SET default_transaction_read_only = on");
    server.sql("postgres", "SELECT pg_reload_conf()");
    eventually("the default has changed", || {
        (look.value("SHOW default_transaction_read_only") == "on").then_some(())
    });
    holder.ask("SELECT pg_advisory_unlock_all()");
    assert_eq!(short(&running.until('Z')), "C I");
    copying.send(&message(b'd', b"2\n"));
    copying.send(&message(b'c', b""));
    assert_eq!(short(&copying.until('Z')), "C I");
    assert_eq!(running.ask("INSERT INTO t VALUES (3)"), "E25006S I", "the next transaction has the new one");
    assert_eq!(server.rows(&database), 2);
}

#[test]
fn a_deferred_trigger_that_writes_makes_a_fenced_commit_a_rollback() {
    let _turn = turn();
    let server = server();
    let database = server.database();
    server.sql(
        &database,
        "CREATE TABLE log (a int);
         CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS \
             $$BEGIN INSERT INTO log VALUES (new.a); RETURN NULL; END$$;
         CREATE CONSTRAINT TRIGGER late AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED \
             FOR EACH ROW EXECUTE FUNCTION late()",
    );
    let mut client = connect(server, &database);
    client.ask("BEGIN; INSERT INTO t VALUES (1)");
    client.ask(FENCE);
    assert_eq!(client.ask("COMMIT"), "E25006 I");
    assert_eq!(server.rows(&database), 0, "what wrote before is lost as well");
    client.ask("BEGIN; INSERT INTO t VALUES (1)");
    client.ask("SET CONSTRAINTS ALL IMMEDIATE");
    client.ask(FENCE);
    assert_eq!(client.ask("COMMIT"), "C I");
    assert_eq!(server.sql(&database, "SELECT count(*) FROM log"), "1");
}

#[test]
fn a_notification_is_delivered_from_a_read_only_transaction() {
    let _turn = turn();
    let server = server();
    let mut listener = connect(server, "postgres");
    listener.ask("LISTEN spanning");
    let mut client = connect(server, "postgres");
    client.ask("BEGIN READ ONLY; NOTIFY spanning");
    client.ask("COMMIT");
    eventually("it is delivered", || (listener.ask("SELECT 1").contains('A')).then_some(()));
}

#[test]
fn a_savepoint_rolled_back_leaves_its_transaction_id_and_no_data() {
    let _turn = turn();
    let server = server();
    let database = server.database();
    let mut client = connect(server, &database);
    client.ask("BEGIN; SAVEPOINT s; INSERT INTO t VALUES (1)");
    client.ask("ROLLBACK TO s");
    assert_eq!(client.value("SELECT pg_current_xact_id_if_assigned() IS NULL"), "f");
    assert_eq!(client.ask("COMMIT"), "C I");
    assert_eq!(server.rows(&database), 0);
}

#[test]
fn a_failed_block_takes_no_fence_and_comes_back_to_life_read_write() {
    let _turn = turn();
    let server = server();
    let database = server.database();
    let mut client = connect(server, &database);
    client.ask("BEGIN; SAVEPOINT s");
    client.ask("SELECT 1 / 0");
    assert_eq!(client.ask(FENCE), "E25P02 E");
    client.ask("ROLLBACK TO s");
    assert_eq!(client.ask("INSERT INTO t VALUES (1)"), "C T");
    client.ask("COMMIT");
    assert_eq!(server.rows(&database), 1);
}

#[test]
fn a_query_behind_a_batch_without_sync_is_lost_on_18_and_so_none_is_ever_injected_there() {
    let _turn = turn();
    let server = server();
    let database = server.database();
    let mut client = connect(server, &database);
    client.say(|out| {
        out.parse("", "SET work_mem = '5MB'").bind("", "").execute("");
        out.query("SELECT 1");
    });
    let answer = short(&client.until('Z'));
    if major(server) >= 18 {
        assert_eq!(answer, "12CTDC T", "the status says that a block is open which nobody began");
        client.say(|out| {
            out.sync();
        });
        client.until('Z');
        assert!(client.ask("SELECT 1").starts_with("EXX000"), "the next command fails");
    } else if major(server) <= 15 {
        assert_eq!(answer, "12CTDC I");
        assert_eq!(client.ask("INSERT INTO t VALUES (1)"), "C I");
    }
}

#[test]
fn a_simple_query_takes_the_unnamed_statement_away() {
    let _turn = turn();
    let mut client = connect(server(), "postgres");
    client.say(|out| {
        out.parse("", "SELECT 1").sync();
    });
    client.until('Z');
    client.ask("SELECT 2");
    client.say(|out| {
        out.bind("", "").sync();
    });
    assert_eq!(short(&client.until('Z')), "E26000 I");
}

#[test]
fn the_default_of_read_only_is_reported_since_14_and_the_mode_of_a_transaction_never() {
    let _turn = turn();
    let server = server();
    let mut client = connect(server, "postgres");
    let reported = |name| client.parameters.iter().any(|(parameter, _)| parameter == name);
    assert_eq!(reported("default_transaction_read_only"), major(server) >= 14);
    assert!(!reported("transaction_read_only"));
    assert_eq!(client.ask("BEGIN READ ONLY"), "C T");
    client.ask("COMMIT");
    let told = if major(server) >= 14 { "CS I" } else { "C I" };
    assert_eq!(client.ask("SET default_transaction_read_only = on"), told);
}

#[test]
fn a_login_trigger_runs_before_any_statement_and_only_a_fence_at_login_holds_it() {
    let _turn = turn();
    let server = server();
    let database = server.database();
    server.sql(
        &database,
        "CREATE FUNCTION notes() RETURNS event_trigger LANGUAGE plpgsql AS \
             $$BEGIN INSERT INTO t VALUES (1); END$$",
    );
    let trigger = "CREATE EVENT TRIGGER at_login ON login EXECUTE FUNCTION notes()";
    if major(server) < 17 {
        assert_eq!(connect(server, &database).ask(trigger), "E42601 I", "there is none before 17");
        return;
    }
    connect(server, &database).ask(trigger);
    let known = format!("SELECT dathasloginevt FROM pg_database WHERE datname = '{database}'");
    assert_eq!(server.sql("postgres", &known), "t");
    assert_eq!(server.rows(&database), 1, "the login that asks has written");
    assert_eq!(fenced_login(server, &database), "25006");
}

/// How the server answers a login that is read-only from its first moment.
fn fenced_login(server: &Postgres, database: &str) -> String {
    let mut client = Wire::open(server.port);
    let parameters = [("user", "postgres"), ("database", database), ("default_transaction_read_only", "on")];
    client.send(&StartupMessage::new(&parameters).encode());
    client.until('E').last().unwrap().field(b'C')
}
