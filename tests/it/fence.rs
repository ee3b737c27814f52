//! The second wall: writes that no statement shows are rejected by the server, the client sees nothing of the
//! fence, and after the thaw every session has the settings that it would have had.

use crate::support::{Postgres, Proxy, eventually, short};

fn open() -> (&'static Postgres, Proxy, String) {
    let server = Postgres::shared();
    let (proxy, database) = (Proxy::spawn(server), server.database());
    server.sql(
        &database,
        "CREATE FUNCTION w() RETURNS int LANGUAGE sql AS 'INSERT INTO t VALUES (1) RETURNING a'",
    );
    (server, proxy, database)
}

#[test]
fn a_write_hidden_in_a_function_is_rejected_with_the_operators_words() {
    let (server, proxy, database) = open();
    let mut client = proxy.connect(&database);
    assert_eq!(client.ask("SELECT w()"), "TDC I");
    proxy.freeze();
    let answer = client.query("SELECT w()");
    let error = answer.iter().find(|m| m.tag == 'E').unwrap();
    assert_eq!(error.told(), "25006 cannot execute INSERT in a read-only transaction");
    assert!(error.field(b'D').contains(": test."), "{error:?}");
    assert_eq!(server.rows(&database), 1);
    assert_eq!(proxy.status()["refused_total"], 1);
    let line = eventually("the audit", || proxy.audit("refused").first().cloned());
    assert_eq!((line["class"].as_str(), line["command"].as_str()), (Some("rejected"), Some("INSERT")));
}

#[test]
fn nothing_of_the_fence_is_seen_by_the_client() {
    let (_, proxy, database) = open();
    let mut client = proxy.connect(&database);
    proxy.freeze();
    for shown in ["default_transaction_read_only", "transaction_read_only"] {
        assert_eq!(client.value(&format!("SHOW {shown}")), "off");
        client.say(|out| {
            out.parse("", &format!("SHOW {shown}")).bind("", "").execute("").sync();
        });
        let row = client.until('Z').into_iter().find(|m| m.tag == 'D').unwrap();
        assert_eq!(row.told(), "off");
    }
    // No ParameterStatus and no notice came with the fence, nor comes with its end.
    assert_eq!(client.ask("SELECT 1"), "TDC I");
    proxy.thaw();
    assert_eq!(client.ask("SELECT 1"), "TDC I");
    let new = proxy.connect(&database);
    let told: Vec<_> = new.parameters.iter().filter(|(n, _)| n == "default_transaction_read_only").collect();
    assert!(told.iter().all(|(_, value)| value == "off"), "{told:?}");
}

#[test]
fn reset_all_and_discard_all_pass_and_the_fence_is_up_again_before_anything_else_runs() {
    let (server, proxy, database) = open();
    let mut client = proxy.connect(&database);
    proxy.freeze();
    for reset in ["RESET ALL", "DISCARD ALL"] {
        client.say(|out| {
            out.query(reset).query("SELECT w()");
        });
        assert_eq!(short(&client.until('Z')), "C I");
        assert_eq!(short(&client.until('Z')), "TE25006 I");
        assert_eq!(client.extended(reset), "12C I");
        assert_eq!(client.extended("SELECT w()"), "12E25006 I");
    }
    assert_eq!(server.rows(&database), 0);
    assert_eq!(client.ask("RESET ALL; SELECT w()"), "E25006 I");
}

#[test]
fn every_way_to_take_the_fence_down_is_refused() {
    let (server, proxy, database) = open();
    let mut client = proxy.connect(&database);
    proxy.freeze();
    for down in [
        "SET default_transaction_read_only = off",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
        "RESET default_transaction_read_only",
        "SELECT set_config('default_transaction_read_only', 'off', false)",
        "BEGIN READ WRITE",
        "SET transaction_read_only = off",
        "SET U&\"default!005ftransaction_read_only\" UESCAPE '!' TO 'of'",
    ] {
        assert_eq!(client.ask(down), "E25006 I", "{down}");
    }
    assert_eq!(client.ask("BEGIN; SELECT 1"), "CTDC T");
    assert_eq!(client.ask("SET TRANSACTION READ WRITE"), "E25006 E");
    assert_eq!(client.ask("ROLLBACK"), "C I");
    assert_eq!(client.ask("SELECT w()"), "TE25006 I");
    assert_eq!(server.rows(&database), 0);
}

#[test]
fn after_the_thaw_each_session_has_the_settings_that_it_would_have_had() {
    let (_, proxy, database) = open();
    let settings =
        "SELECT setting || ' ' || source FROM pg_settings WHERE name = 'default_transaction_read_only'";
    let mut plain = proxy.connect(&database);
    let (mut on, mut off) = (proxy.connect(&database), proxy.connect(&database));
    on.ask("SET default_transaction_read_only = on");
    off.ask("SET default_transaction_read_only = off");
    let mut by_start = crate::support::Wire::open(proxy.port);
    by_start.log_in(&[
        ("user", "postgres"),
        ("database", &database),
        ("default_transaction_read_only", "on"),
    ]);
    let mut late = proxy.connect(&database);
    for _ in 0..3 {
        proxy.freeze();
        assert_eq!(late.ask("SELECT 1"), "TDC I");
        proxy.thaw();
    }
    assert_eq!(plain.value(settings), "off default");
    assert_eq!(on.value(settings), "on session");
    assert_eq!(off.value(settings), "off session");
    assert_eq!(by_start.value(settings), "on client");
    assert_eq!(late.ask("INSERT INTO t VALUES (1)"), "C I");
    // Set while frozen, it is the client's own.
    proxy.freeze();
    assert_eq!(plain.ask("SET default_transaction_read_only = on"), "C I");
    proxy.thaw();
    assert_eq!(plain.value(settings), "on session");
}

#[test]
fn a_transaction_begun_while_frozen_stays_read_only_to_its_end_and_says_why() {
    let (server, proxy, database) = open();
    let mut client = proxy.connect(&database);
    proxy.freeze();
    assert_eq!(client.ask("BEGIN; SELECT 1"), "CTDC T");
    proxy.thaw();
    eventually("it is counted", || (proxy.status()["readonly_leftovers"] == 1).then_some(()));
    let answer = client.query("INSERT INTO t VALUES (1)");
    assert_eq!(answer[0].field(b'C'), "25006");
    assert!(answer[0].field(b'D').contains("began while Frostgate was frozen"), "{answer:?}");
    client.ask("ROLLBACK");
    assert_eq!(client.ask("INSERT INTO t VALUES (1)"), "C I");
    assert_eq!(server.rows(&database), 1);
    assert_eq!(proxy.status()["readonly_leftovers"], 0);
}

#[test]
fn isolation_levels_deferrable_and_exported_snapshots_work_while_frozen() {
    let (_, proxy, database) = open();
    let (mut one, mut two) = (proxy.connect(&database), proxy.connect(&database));
    one.ask("BEGIN");
    two.ask("BEGIN");
    proxy.freeze();
    assert_eq!(one.ask("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE"), "C T");
    assert_eq!(one.ask("SELECT count(*) FROM t"), "TDC T");
    let snapshot = one.value("SELECT pg_export_snapshot()");
    assert_eq!(two.ask("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY"), "C T");
    assert_eq!(two.ask(&format!("SET TRANSACTION SNAPSHOT '{snapshot}'")), "C T");
    assert_eq!(two.ask("SELECT count(*) FROM t"), "TDC T");
}

#[test]
fn pg_dump_and_pg_basebackup_work_while_frozen() {
    let (server, proxy, database) = open();
    server.sql(&database, "INSERT INTO t SELECT generate_series(1, 1000)");
    proxy.freeze();
    let folder = tempfile::tempdir().unwrap();
    let run = |program: &str, arguments: &[&str]| {
        let output = std::process::Command::new(program)
            .args(["-h", "127.0.0.1", "-U", "postgres", "-p", &proxy.port.to_string()])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(run("pg_dump", &[&database]).contains("COPY public.t"));
    let parallel = folder.path().join("parallel");
    run("pg_dump", &["-Fd", "-j", "4", "-f", parallel.to_str().unwrap(), &database]);
    let base = folder.path().join("base");
    run("pg_basebackup", &["-D", base.to_str().unwrap(), "-c", "fast", "-X", "stream"]);
    assert!(base.join("PG_VERSION").exists());
}

#[test]
fn replication_slots_that_stay_are_refused_and_temporary_ones_pass() {
    let (_, proxy, database) = open();
    proxy.freeze();
    let mut walsender = crate::support::Wire::open(proxy.port);
    walsender.log_in(&[("user", "postgres"), ("database", &database), ("replication", "database")]);
    assert_eq!(walsender.ask("IDENTIFY_SYSTEM"), "TDC I");
    assert_eq!(walsender.ask("CREATE_REPLICATION_SLOT stays LOGICAL test_decoding"), "E25006 I");
    assert_eq!(walsender.ask("CREATE_REPLICATION_SLOT goes TEMPORARY LOGICAL test_decoding"), "TDC I");
    assert_eq!(walsender.ask("SELECT w()"), "TE25006 I");
    assert_eq!(walsender.ask("INSERT INTO t VALUES (1)"), "E25006 I");
}

#[test]
fn a_query_behind_an_unsynced_batch_fares_as_it_does_directly() {
    let (server, proxy, database) = open();
    proxy.freeze();
    let run = |port| {
        let mut client = crate::support::Wire::connect(port, &database);
        client.say(|out| {
            out.parse("", "SELECT 1").bind("", "").execute("").query("SELECT 2").sync();
        });
        // PostgreSQL 18 does not commit the Query's work, and says so by its status.
        [short(&client.until('Z')), short(&client.until('Z'))]
    };
    assert_eq!(run(proxy.port), run(server.port));
    assert_eq!(proxy.connect(&database).ask("SELECT w()"), "TE25006 I");
    assert_eq!(server.rows(&database), 0);
}

/// A pooler as far as it shows: the process id that it gives out is not the one that answers.
fn pooler(server: &Postgres) -> u16 {
    use std::{
        io::{Read as _, Write as _},
        net::{TcpListener, TcpStream},
        thread,
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, upstream) = (listener.local_addr().unwrap().port(), server.port);
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let behind = TcpStream::connect(("127.0.0.1", upstream)).unwrap();
            let (mut from, mut to) = (client.try_clone().unwrap(), behind.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut from, &mut to));
            let (mut from, mut to) = (behind, client);
            thread::spawn(move || {
                let mut buffer = vec![0; 65536];
                while let Ok(read @ 1..) = from.read(&mut buffer) {
                    let key = buffer[..read].windows(5).position(|w| w == b"K\0\0\0\x0c");
                    if let Some(at) = key {
                        buffer[at + 5] ^= 0x40;
                    }
                    if to.write_all(&buffer[..read]).is_err() {
                        break;
                    }
                }
            });
        }
    });
    port
}

#[test]
fn behind_a_pooler_there_is_no_fence_and_the_freeze_says_so() {
    let server = Postgres::shared();
    let database = server.database();
    let proxy = Proxy::with(&format!("host=127.0.0.1 port={}", pooler(server)), &[]);
    let mut client = proxy.connect(&database);
    assert_eq!(client.ask("SELECT 1"), "TDC I");
    eventually("it is noticed", || (proxy.status()["fence"] == "none").then_some(()));
    let guarded = proxy.run(&["freeze", "--reason", "x"]);
    assert_eq!(guarded.code, 4, "{guarded:?}");
    assert!(guarded.err.contains("pooler") && guarded.err.contains("--allow-unfenced"), "{guarded:?}");
    assert_eq!(proxy.state(), "open");
    assert_eq!(proxy.run(&["freeze", "--reason", "x", "--allow-unfenced"]).code, 0);
    assert_eq!(client.ask("INSERT INTO t VALUES (1)"), "E25006 I");
    assert_eq!(client.ask("SELECT 1"), "TDC I");
    let read_only = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SET SESSION default%'";
    assert_eq!(server.sql(&database, &format!("{read_only} AND datname = '{database}'")), "0");
}

#[test]
fn a_login_trigger_can_not_write_while_frozen() {
    let (server, proxy, database) = open();
    let version: u32 = server.sql("postgres", "SHOW server_version_num").parse().unwrap();
    if version < 170_000 {
        eprintln!("skipped: login triggers need PostgreSQL 17, this is {version}");
        return;
    }
    server.sql(
        &database,
        "CREATE FUNCTION login() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO t VALUES (9); END';
         CREATE EVENT TRIGGER on_login ON login EXECUTE FUNCTION login();
         ALTER EVENT TRIGGER on_login ENABLE ALWAYS",
    );
    let rows = server.rows(&database);
    proxy.freeze();
    let refused = proxy.psql(&database, &["-c", "SELECT 1"]);
    assert!(refused.err.contains("cannot execute INSERT in a read-only transaction"), "{refused:?}");
    // Asking for the rows logs in directly, and writes one itself.
    assert_eq!(server.rows(&database), rows + 1);
    proxy.thaw();
    assert_eq!(proxy.psql(&database, &["-c", "INSERT INTO t VALUES (1)"]).code, 0);
}

#[test]
fn a_session_whose_login_was_made_read_only_writes_after_the_thaw_even_after_a_reset() {
    let (server, proxy, _) = open();
    let version: u32 = server.sql("postgres", "SHOW server_version_num").parse().unwrap();
    if version < 170_000 {
        eprintln!("skipped: no login is made read-only before PostgreSQL 17, this is {version}");
        return;
    }
    let unseen = server.database();
    proxy.freeze();
    let mut client = proxy.connect(&unseen);
    let told = client.parameters.iter().find(|(name, _)| name == "default_transaction_read_only").unwrap();
    assert_eq!(told.1, "off");
    assert_eq!(client.ask("INSERT INTO t VALUES (1)"), "E25006 I");
    proxy.thaw();
    for reset in ["RESET ALL", "DISCARD ALL"] {
        assert_eq!(client.ask("INSERT INTO t VALUES (1)"), "C I");
        assert_eq!(client.ask(reset), "C I");
        assert_eq!(client.ask("INSERT INTO t VALUES (1)"), "C I", "behind {reset}");
    }
}
