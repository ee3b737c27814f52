//! What a SELECT can do past read-only mode: functions made for it, tables that run a program, and what leads to
//! these. The database itself is asked which it has.

use crate::support::{Postgres, Proxy, Wire, eventually, short};
use std::io::Write as _;

/// Writes on any version, and in a transaction that is read-only before PostgreSQL 16.
const RESETS: &str = "CREATE FUNCTION leaves() RETURNS int LANGUAGE plpgsql AS $$ BEGIN
    IF current_setting('server_version_num')::int < 160000 THEN EXECUTE 'RESET transaction_read_only'; END IF;
    INSERT INTO t VALUES (1); RETURN 1; END $$";

fn open(more: &[&str]) -> (&'static Postgres, Proxy, String) {
    let server = Postgres::shared();
    let database = server.database();
    server.sql(&database, RESETS);
    for statement in more {
        server.sql(&database, statement);
    }
    (server, Proxy::spawn(server), database)
}

#[test]
fn a_function_that_leaves_read_only_mode_is_refused_by_whatever_leads_to_it() {
    let (server, proxy, database) = open(&[
        "CREATE VIEW v AS SELECT leaves() AS a",
        "CREATE FUNCTION calls() RETURNS int LANGUAGE sql AS 'SELECT Leaves()'",
        "CREATE FUNCTION op(text, text) RETURNS int LANGUAGE sql AS 'SELECT calls()'",
        "CREATE OPERATOR @@+ (leftarg = text, rightarg = text, function = op)",
        "CREATE TABLE guarded (a int)",
        "ALTER TABLE guarded ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY p ON guarded USING (calls() = 1)",
        "CREATE FUNCTION reads() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM t'",
    ]);
    let mut client = proxy.connect(&database);
    proxy.freeze();
    for read in ["SELECT reads()", "TABLE t", "SELECT a, lower('X') FROM t"] {
        assert!(!client.ask(read).contains("25006"), "{read}");
    }
    for hidden in [
        "SELECT leaves()",
        "SELECT \"leaves\"() FROM t",
        "SELECT * FROM v",
        "SELECT calls()",
        "SELECT 'a' @@+ 'b'",
        "TABLE guarded",
        "SELECT query_to_xml('SELECT leaves()', true, true, '')",
    ] {
        assert_eq!(client.ask(hidden), "E25006 I", "{hidden}");
    }
    assert_eq!(server.rows(&database), 0);
    proxy.thaw();
    assert_eq!(client.ask("SELECT leaves()"), "TDC I");
    assert_eq!(server.rows(&database), 1);
}

#[test]
fn a_statement_that_was_prepared_before_its_function_became_a_loophole_is_refused_until_it_is_prepared_anew()
{
    let (server, proxy, database) = open(&["CREATE FUNCTION turns() RETURNS int LANGUAGE sql AS 'SELECT 1'"]);
    let mut client = proxy.connect(&database);
    client.say(|out| {
        out.parse("old", "SELECT turns()").sync();
    });
    client.until('Z');
    assert_eq!(client.ask("PREPARE sql AS SELECT turns()"), "C I");
    server.sql(&database, "CREATE OR REPLACE FUNCTION turns() RETURNS int LANGUAGE sql AS 'SELECT leaves()'");
    proxy.freeze();
    client.say(|out| {
        out.bind("", "old").execute("").sync();
    });
    assert_eq!(short(&client.until('Z')), "E25006 I");
    assert_eq!(client.ask("EXECUTE sql"), "E25006 I");
    assert_eq!(server.rows(&database), 0);
    proxy.thaw();
    client.say(|out| {
        out.bind("", "old").execute("").sync();
    });
    assert_eq!(short(&client.until('Z')), "2DC I", "it is still prepared");
}

#[test]
fn who_comes_while_frozen_finds_the_loopholes_known_before_the_first_statement() {
    let (server, proxy, database) = open(&[]);
    proxy.freeze();
    let mut client = proxy.connect(&database);
    assert_eq!(client.ask("SELECT leaves()"), "E25006 I");
    assert_eq!(server.rows(&database), 0);
}

#[test]
fn the_maintenance_session_may_use_them() {
    let (server, proxy, database) = open(&[]);
    proxy.freeze();
    let ran = proxy.psql_maintenance(&database, &["-c", "SELECT leaves()"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(server.rows(&database), 1);
}

#[test]
fn where_the_question_can_not_be_answered_any_function_of_users_counts_as_one() {
    let server = Postgres::shared();
    let database = server.database();
    server.sql(&database, "CREATE FUNCTION slow() RETURNS int LANGUAGE sql AS 'SELECT 1'");
    // So many functions that nobody has read them all in a tenth of a second.
    let many = "DO $$ BEGIN FOR n IN 1..400 LOOP EXECUTE format('CREATE FUNCTION f%s() RETURNS text LANGUAGE sql \
                AS %L', n, 'SELECT ' || quote_literal(repeat('x ', 40000))); END LOOP; END $$";
    server.sql(&database, many);
    let proxy = Proxy::spawn(server);
    proxy.freeze();
    let mut hasty = Wire::open(proxy.port);
    let options = [("user", "postgres"), ("database", &database), ("options", "-c statement_timeout=100ms")];
    hasty.log_in(&options);
    assert_eq!(hasty.ask("SELECT slow()"), "E25006 I");
    assert_eq!(hasty.ask("SELECT 1"), "TDC I", "what calls none goes on");
    // Somebody with more patience asks anew, and then it is known.
    let mut patient = proxy.connect(&database);
    assert_eq!(patient.ask("SELECT slow()"), "TDC I");
    assert_eq!(hasty.ask("SELECT slow()"), "TDC I");
}

#[test]
fn a_cancel_request_is_never_spent_on_a_question_of_the_proxy() {
    let server = Postgres::shared();
    let database = server.database();
    let proxy = Proxy::spawn(server);
    // Somebody keeps the catalog from being read, so that the question waits.
    let mut keeper = Wire::connect(server.port, &database);
    assert_eq!(keeper.ask("BEGIN; LOCK TABLE pg_catalog.pg_foreign_table"), "CC T");
    let mut client = proxy.connect(&database);
    client.say(|out| {
        out.query("SELECT pg_sleep(60)");
    });
    let key = client.key.clone().unwrap();
    let port = proxy.port;
    let cancel = std::thread::spawn(move || {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(&key.request()).unwrap();
        // The request is done when its connection is closed.
        std::io::copy(&mut stream, &mut std::io::sink()).unwrap();
    });
    let waits = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND wait_event_type = 'Lock'"
    );
    eventually("the question waits", || (server.sql("postgres", &waits) == "1").then_some(()));
    assert_eq!(keeper.ask("COMMIT"), "C I");
    assert_eq!(short(&client.until('Z')), "TE57014 I");
    cancel.join().unwrap();
}
