//! While frozen every write is refused, in every form in which it can come; reads go on.

use crate::support::{Postgres, Proxy, Wire, eventually, short};
use std::os::unix::fs::PermissionsExt as _;

fn frozen() -> (&'static Postgres, Proxy, String) {
    let server = Postgres::shared();
    let (proxy, database) = (Proxy::spawn(server), server.database());
    proxy.freeze();
    (server, proxy, database)
}

#[test]
fn psql_reads_and_is_refused_its_writes_in_postgresqls_own_words() {
    let (server, proxy, database) = frozen();
    let read = proxy.psql(&database, &["-c", "SELECT 40 + 2"]);
    assert_eq!((read.code, read.out.as_str()), (0, "42"));
    let refused = proxy.psql(&database, &["-v", "VERBOSITY=verbose", "-c", "INSERT INTO t VALUES (1)"]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("25006: cannot execute INSERT in a read-only transaction"), "{refused:?}");
    assert!(refused.err.contains("Frozen since") && refused.err.contains(": test."), "{refused:?}");
    assert_eq!(server.rows(&database), 0);
}

#[test]
fn a_refusal_outside_a_transaction_leaves_the_session_idle_and_the_server_untouched() {
    let (server, proxy, database) = frozen();
    let mut client = proxy.connect(&database);
    assert_eq!(client.ask("SELECT 1"), "TDC I");
    let pid = client.key.as_ref().unwrap().process_id;
    let last =
        || server.sql("postgres", &format!("SELECT state_change FROM pg_stat_activity WHERE pid = {pid}"));
    let before = last();
    assert_eq!(client.ask("INSERT INTO t VALUES (1)"), "E25006 I");
    assert_eq!(client.ask("CREATE TABLE u (a int)"), "E25006 I");
    assert_eq!(client.ask("COPY t FROM STDIN"), "E25006 I");
    assert_eq!(last(), before, "the server has not heard of it");
    assert_eq!(client.ask("SELECT 1"), "TDC I");
}

#[test]
fn a_refusal_in_a_block_fails_the_block_on_the_server_too() {
    let (server, proxy, database) = frozen();
    let mut client = proxy.connect(&database);
    assert_eq!(client.ask("BEGIN"), "C T");
    assert_eq!(client.ask("INSERT INTO t VALUES (1)"), "E25006 E");
    assert_eq!(client.ask("SELECT 1"), "E25P02 E");
    assert_eq!(client.ask("INSERT INTO t VALUES (1)"), "E25P02 E");
    let ended = client.query("COMMIT");
    assert_eq!(ended[0].told(), "ROLLBACK");
    assert_eq!(proxy.status()["refused_total"], 1, "in a failed block nothing is refused");
    assert_eq!(server.rows(&database), 0);
}

#[test]
fn the_extended_protocol_is_refused_at_bind_and_skipped_to_sync() {
    let (_, proxy, database) = frozen();
    let mut client = proxy.connect(&database);
    assert_eq!(client.extended("INSERT INTO t VALUES (1)"), "1E25006 I");
    assert_eq!(client.extended("SELECT 1"), "12DC I");
    client.say(|out| {
        out.parse("", "INSERT INTO t VALUES (1)").bind("", "").execute("").parse("", "SELECT 1").sync();
        out.parse("", "SELECT 1").bind("", "").execute("").sync();
    });
    assert_eq!(short(&client.until('Z')), "1E25006 I");
    assert_eq!(short(&client.until('Z')), "12DC I");
}

#[test]
fn flush_releases_a_refusal_that_waits_for_the_reply_in_front_of_it() {
    let (_, proxy, database) = frozen();
    let mut client = proxy.connect(&database);
    client.say(|out| {
        out.parse("s", "INSERT INTO t VALUES (1)").bind("", "s");
    });
    client.send(b"H\0\0\0\x04");
    assert_eq!(short(&client.until('E')), "1E25006");
    client.say(|out| {
        out.sync();
    });
    assert_eq!(short(&client.until('Z')), " I");
}

#[test]
fn a_statement_prepared_before_is_refused_while_frozen_and_valid_after_the_thaw() {
    let server = Postgres::shared();
    let (proxy, database) = (Proxy::spawn(server), server.database());
    let mut client = proxy.connect(&database);
    client.say(|out| {
        out.parse("w", "INSERT INTO t VALUES (1)").parse("r", "SELECT count(*) FROM t").sync();
    });
    client.until('Z');
    let mut run = |name: &str| {
        client.say(|out| {
            out.bind("", name).execute("").sync();
        });
        short(&client.until('Z'))
    };
    proxy.freeze();
    assert_eq!(run("w"), "E25006 I");
    assert_eq!(run("r"), "2DC I");
    proxy.thaw();
    assert_eq!(run("w"), "2C I");
    assert_eq!(server.rows(&database), 1);
}

#[test]
fn earlier_work_of_a_refused_batch_or_message_is_rolled_back() {
    let (server, proxy, database) = frozen();
    let mut client = proxy.connect(&database);
    client.say(|out| {
        out.parse("", "SELECT 1").bind("", "").execute("").parse("", "INSERT INTO t VALUES (1)");
        out.bind("", "").execute("").parse("", "SELECT 2").bind("", "").execute("").sync();
    });
    assert_eq!(short(&client.until('Z')), "12DC1E25006 I");
    assert_eq!(client.ask("SELECT 1; INSERT INTO t VALUES (1); SELECT 2"), "E25006 I");
    assert_eq!(server.rows(&database), 0);
}

#[test]
fn a_refused_copy_swallows_the_data_that_follows_it() {
    let (server, proxy, database) = frozen();
    let mut client = proxy.connect(&database);
    client.say(|out| {
        out.query("COPY t FROM STDIN");
    });
    client.send(b"d\0\0\0\x061\nc\0\0\0\x04");
    assert_eq!(short(&client.until('Z')), "E25006 I");
    assert_eq!(client.ask("SELECT 1"), "TDC I");
    assert_eq!(server.rows(&database), 0);
}

#[test]
fn function_calls_are_refused_but_reads_of_large_objects() {
    let server = Postgres::shared();
    let (proxy, database) = (Proxy::spawn(server), server.database());
    let large: u32 = server.sql(&database, "SELECT lo_from_bytea(0, 'abc')").parse().unwrap();
    let now: u32 = server.sql(&database, "SELECT 'clock_timestamp()'::regprocedure::oid").parse().unwrap();
    proxy.freeze();
    let mut client = proxy.connect(&database);
    client.say(|out| {
        out.function_call(now);
    });
    assert_eq!(short(&client.until('Z')), "E25006 I");
    let lo_get: u32 = server.sql(&database, "SELECT 'lo_get(oid)'::regprocedure::oid").parse().unwrap();
    let mut body = lo_get.to_be_bytes().to_vec();
    body.extend_from_slice(&[0, 1, 0, 1, 0, 1, 0, 0, 0, 4]);
    body.extend_from_slice(&large.to_be_bytes());
    body.extend_from_slice(&[0, 1]);
    client.send(&crate::support::message(b'F', &body));
    assert_eq!(short(&client.until('Z')), "V I");
}

#[test]
fn sessions_that_come_while_frozen_meet_the_gate_too() {
    let (server, proxy, database) = frozen();
    server.sql(
        &database,
        "CREATE FUNCTION w() RETURNS int LANGUAGE sql AS 'INSERT INTO t VALUES (1) RETURNING a'",
    );
    let mut client = proxy.connect(&database);
    // The first thing that it says could write: the fence is up before it is heard.
    assert_eq!(client.ask("SELECT w()"), "TE25006 I");
    assert_eq!(server.rows(&database), 0);
}

#[test]
fn pipelined_reads_are_not_slowed_to_one_at_a_time_while_frozen() {
    let (_, proxy, database) = frozen();
    let mut client = proxy.connect(&database);
    client.ask("SELECT 1");
    client.say(|out| {
        for _ in 0..50 {
            out.query("SELECT pg_sleep(0)");
        }
    });
    for _ in 0..50 {
        assert_eq!(short(&client.until('Z')), "TDC I");
    }
}

#[test]
fn whoever_enters_by_the_maintenance_listener_writes_while_all_others_are_frozen() {
    let (server, proxy, database) = frozen();
    let migrated = proxy
        .psql_maintenance(&database, &["-c", "ALTER TABLE t ADD b int", "-c", "INSERT INTO t VALUES (1, 2)"]);
    assert_eq!(migrated.code, 0, "{migrated:?}");
    assert_eq!(server.rows(&database), 1);
    assert_eq!(proxy.connect(&database).ask("INSERT INTO t VALUES (1)"), "E25006 I");
    let logins = eventually("the audit", || Some(proxy.audit("maintenance_login")).filter(|l| !l.is_empty()));
    assert_eq!(logins[0]["database"], database.as_str());
    eventually("the count", || {
        (proxy.metric("frostgate_statements_exempt_total{by=\"maintenance_listener\"}") == Some(2.0))
            .then_some(())
    });
}

#[test]
fn an_open_exempt_transaction_keeps_the_gate_from_opening() {
    let server = Postgres::trusting();
    let (proxy, database) = (Proxy::spawn(server), server.database());
    proxy.freeze();
    let mut stream = std::os::unix::net::UnixStream::connect(&proxy.maintenance).unwrap();
    crate::support::unix_query(&mut stream, &database, "BEGIN");
    let thaw = proxy.run(&["thaw"]);
    assert_eq!(thaw.code, 4, "{thaw:?}");
    assert!(thaw.err.contains("have a transaction open"), "{thaw:?}");
    drop(stream);
    eventually("the thaw", || (proxy.run(&["thaw"]).code == 0).then_some(()));
}

#[test]
fn the_maintenance_socket_is_its_owners_alone() {
    let (_, proxy, _) = frozen();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&proxy.maintenance), 0o600);
    assert_eq!(mode(&proxy.control()), 0o600);
}

#[test]
fn drivers_that_look_for_a_writable_server_still_connect() {
    let (_, proxy, database) = frozen();
    let conninfo = |attrs| {
        format!(
            "host=127.0.0.1 port={} user=postgres dbname={database} target_session_attrs={attrs}",
            proxy.port
        )
    };
    for attrs in ["read-write", "primary", "any"] {
        let output = std::process::Command::new("psql")
            .args(["-X", "-A", "-t", "-c", "SELECT 1", &conninfo(attrs)])
            .output()
            .unwrap();
        assert!(output.status.success(), "{attrs}: {output:?}");
    }
}

#[test]
fn the_words_of_a_second_freeze_are_what_the_next_client_reads() {
    let (_, proxy, database) = frozen();
    let mut client = proxy.connect(&database);
    let detail = |client: &mut Wire| client.query("INSERT INTO t VALUES (1)")[0].field(b'D');
    assert!(detail(&mut client).contains(": test."));
    let epoch = proxy.status()["epoch"].clone();
    assert_eq!(proxy.run(&["freeze", "--reason", "it takes longer", "--until", "45m"]).code, 0);
    assert!(detail(&mut client).contains(": it takes longer."));
    assert!(detail(&mut client).contains(", until "));
    assert_eq!(proxy.status()["epoch"], epoch);
}
