//! What wrote before the freeze may end, nothing new may begin, and `frozen` is said when none is left.

use crate::support::{Postgres, Proxy, Ran, eventually, short};
use std::{process::Stdio, time::Duration};

fn open() -> (&'static Postgres, Proxy, String) {
    let server = Postgres::shared();
    (server, Proxy::spawn(server), server.database())
}

#[test]
fn a_transaction_that_wrote_goes_on_to_its_end_and_keeps_us_from_frozen() {
    let (server, proxy, database) = open();
    let mut writer = proxy.connect(&database);
    writer.ask("BEGIN");
    writer.ask("INSERT INTO t VALUES (1)");
    proxy.shut();
    assert_eq!(writer.ask("INSERT INTO t VALUES (2)"), "C T");
    let status = proxy.status();
    assert_eq!(
        (status["state"].as_str(), status["writing_transactions"].as_u64()),
        (Some("draining"), Some(1))
    );
    assert_eq!(writer.ask("COMMIT"), "C I");
    proxy.is_eventually("frozen");
    assert_eq!(writer.ask("INSERT INTO t VALUES (3)"), "E25006 I");
    assert_eq!(server.rows(&database), 2);
}

#[test]
fn a_message_that_ends_the_writing_transaction_and_goes_on_is_refused() {
    let (server, proxy, database) = open();
    let mut writer = proxy.connect(&database);
    writer.ask("BEGIN; INSERT INTO t VALUES (1)");
    proxy.shut();
    assert_eq!(writer.ask("COMMIT; INSERT INTO t VALUES (2)"), "E25006 E");
    assert_eq!(writer.ask("ROLLBACK"), "C I");
    proxy.is_eventually("frozen");
    assert_eq!(server.rows(&database), 0);
}

#[test]
fn a_chained_transaction_is_a_new_one_and_can_not_write() {
    let (server, proxy, database) = open();
    let mut writer = proxy.connect(&database);
    writer.ask("BEGIN; INSERT INTO t VALUES (1)");
    proxy.shut();
    assert_eq!(writer.ask("COMMIT AND CHAIN"), "C T");
    assert_eq!(writer.ask("INSERT INTO t VALUES (2)"), "E25006 E");
    writer.ask("ROLLBACK");
    proxy.is_eventually("frozen");
    assert_eq!(server.rows(&database), 1);
}

#[test]
fn a_block_that_has_not_written_is_frozen_at_once_even_within_a_savepoint() {
    let (server, proxy, database) = open();
    server.sql(
        &database,
        "CREATE FUNCTION w() RETURNS int LANGUAGE sql AS 'INSERT INTO t VALUES (1) RETURNING a'",
    );
    let mut client = proxy.connect(&database);
    client.ask("BEGIN");
    client.ask("SELECT 1");
    client.ask("SAVEPOINT a");
    proxy.freeze();
    for end in ["ROLLBACK TO a", "RELEASE a"] {
        assert_eq!(client.ask(end), "C T");
        assert_eq!(client.ask("SAVEPOINT b"), "C T");
        assert_eq!(client.ask("SELECT w()"), "TE25006 E", "behind {end}");
        assert_eq!(client.ask("ROLLBACK TO b"), "C T");
    }
    assert_eq!(client.ask("COMMIT"), "C I");
    assert_eq!(server.rows(&database), 0);
}

#[test]
fn a_block_that_wrote_through_a_function_is_found_by_asking() {
    let (server, proxy, database) = open();
    server.sql(
        &database,
        "CREATE FUNCTION w() RETURNS int LANGUAGE sql AS 'INSERT INTO t VALUES (1) RETURNING a'",
    );
    let mut client = proxy.connect(&database);
    client.ask("BEGIN");
    client.ask("SELECT w()");
    proxy.shut();
    eventually("known as writing", || (proxy.status()["writing_transactions"] == 1).then_some(()));
    assert_eq!(client.ask("INSERT INTO t VALUES (2)"), "C T");
    assert_eq!(client.ask("COMMIT"), "C I");
    proxy.is_eventually("frozen");
    assert_eq!(server.rows(&database), 2);
}

#[test]
fn a_failed_block_with_a_savepoint_may_come_to_life_and_commit() {
    let (server, proxy, database) = open();
    let mut client = proxy.connect(&database);
    client.ask("BEGIN; INSERT INTO t VALUES (1); SAVEPOINT a");
    client.ask("SELECT 1/0");
    proxy.shut();
    assert_eq!(proxy.state(), "draining");
    assert_eq!(client.ask("ROLLBACK TO a"), "C T");
    assert_eq!(client.ask("COMMIT"), "C I");
    proxy.is_eventually("frozen");
    assert_eq!(server.rows(&database), 1);
}

#[test]
fn a_copy_under_way_and_a_statement_that_runs_are_waited_for() {
    let (server, proxy, database) = open();
    let (mut copier, mut runner) = (proxy.connect(&database), proxy.connect(&database));
    copier.say(|out| {
        out.query("COPY t FROM STDIN");
    });
    copier.until('G');
    // It runs for as long as somebody else keeps a lock.
    let mut keeper = crate::support::Wire::connect(server.port, &database);
    assert_eq!(keeper.ask("SELECT pg_advisory_lock(1)"), "TDC I");
    runner.say(|out| {
        out.query("INSERT INTO t SELECT 1 FROM pg_advisory_lock(1)");
    });
    eventually("it runs", || {
        (server.sql("postgres", &format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND query LIKE 'INSERT%' AND state = 'active'")) == "1").then_some(())
    });
    proxy.shut();
    assert_eq!(proxy.status()["writing_transactions"], 2);
    assert_eq!(keeper.ask("SELECT pg_advisory_unlock(1)"), "TDC I");
    assert_eq!(short(&runner.until('Z')), "C I");
    assert_eq!(proxy.state(), "draining");
    copier.send(b"d\0\0\0\x067\nc\0\0\0\x04");
    assert_eq!(short(&copier.until('Z')), "C I");
    proxy.is_eventually("frozen");
    assert_eq!(server.rows(&database), 2);
}

#[test]
fn an_unsynced_batch_that_wrote_goes_on_to_its_sync() {
    let (server, proxy, database) = open();
    let mut client = proxy.connect(&database);
    client.say(|out| {
        out.parse("w", "INSERT INTO t VALUES (1)").bind("", "w").execute("");
    });
    client.send(b"H\0\0\0\x04");
    client.until('C');
    proxy.shut();
    assert_eq!(proxy.status()["writing_transactions"], 1);
    client.say(|out| {
        out.bind("", "w").execute("").sync().bind("", "w").execute("").sync();
    });
    assert_eq!(short(&client.until('Z')), "2C I");
    assert_eq!(short(&client.until('Z')), "E25006 I");
    proxy.is_eventually("frozen");
    assert_eq!(server.rows(&database), 2);
}

#[test]
fn an_unsynced_batch_that_only_read_can_not_write_any_more() {
    let (server, proxy, database) = open();
    server.sql(
        &database,
        "CREATE FUNCTION w() RETURNS int LANGUAGE sql AS 'INSERT INTO t VALUES (1) RETURNING a'",
    );
    let mut client = proxy.connect(&database);
    client.say(|out| {
        out.parse("r", "SELECT 1").parse("f", "SELECT w()").bind("", "r").execute("");
    });
    client.send(b"H\0\0\0\x04");
    client.until('C');
    proxy.shut();
    client.say(|out| {
        out.bind("", "f").execute("").sync();
    });
    assert_eq!(short(&client.until('Z')), "2E25006 I");
    proxy.is_eventually("frozen");
    assert_eq!(server.rows(&database), 0);
}

#[test]
fn two_phase_commit_ends_while_draining_and_is_refused_once_frozen() {
    let (server, proxy, database) = open();
    let (mut writer, mut other) = (proxy.connect(&database), proxy.connect(&database));
    writer.ask("BEGIN; INSERT INTO t VALUES (1)");
    server.sql(&database, "BEGIN; INSERT INTO t VALUES (2); PREPARE TRANSACTION 'second'");
    server.sql(&database, "BEGIN; INSERT INTO t VALUES (3); PREPARE TRANSACTION 'third'");
    proxy.shut();
    assert_eq!(other.ask("COMMIT PREPARED 'second'"), "C I");
    assert_eq!(writer.ask("PREPARE TRANSACTION 'first'"), "C I");
    proxy.is_eventually("frozen");
    for prepared in ["first", "third"] {
        assert_eq!(other.ask(&format!("COMMIT PREPARED '{prepared}'")), "E25006 I");
        assert_eq!(other.ask(&format!("ROLLBACK PREPARED '{prepared}'")), "E25006 I");
        server.sql(&database, &format!("ROLLBACK PREPARED '{prepared}'"));
    }
    assert_eq!(server.rows(&database), 1);
}

#[test]
fn a_drain_that_is_not_over_in_time_names_who_holds_it_up_and_exits_3() {
    let (_, proxy, database) = open();
    let mut writer = proxy.connect(&database);
    writer.ask("SET application_name = 'night-batch'");
    writer.ask("BEGIN; INSERT INTO t VALUES (1)");
    let ran = proxy.run(&["freeze", "--reason", "x", "--drain-timeout", "300ms"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    let pid = writer.key.as_ref().unwrap().process_id;
    for part in [
        "NOT frozen",
        "writing",
        "postgres",
        &database,
        "night-batch",
        &format!("pg_terminate_backend({pid})"),
    ] {
        assert!(ran.out.contains(part), "{part}: {ran:?}");
    }
    assert_eq!(proxy.status()["stragglers"], 1);
    assert_eq!(writer.ask("COMMIT"), "C I", "keep: it may still end");
    proxy.is_eventually("frozen");
}

#[test]
fn stragglers_are_rolled_back_and_their_connections_ended_if_so_wished() {
    let (server, proxy, database) = open();
    let (mut idle, mut running) = (proxy.connect(&database), proxy.connect(&database));
    idle.ask("BEGIN; INSERT INTO t VALUES (1)");
    running.say(|out| {
        out.query("INSERT INTO t SELECT 1 FROM pg_sleep(60)");
    });
    let mut copier = proxy.connect(&database);
    copier.say(|out| {
        out.query("COPY t FROM STDIN");
    });
    copier.until('G');
    eventually("all three write", || (proxy.status()["writing_transactions"] == 3).then_some(()));
    let ran = proxy.run(&["freeze", "--reason", "x", "--drain-timeout", "200ms", "--stragglers", "rollback"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let ended = |client: &mut crate::support::Wire| {
        std::iter::from_fn(|| client.next()).filter(|m| m.tag == 'E').map(|m| m.field(b'C')).last().unwrap()
    };
    assert_eq!(ended(&mut idle), "57P01");
    assert_eq!(ended(&mut running), "57P01");
    assert_eq!(ended(&mut copier), "57P01");
    assert_eq!(server.rows(&database), 0);
}

#[test]
fn a_read_that_runs_is_waited_for_or_cancelled_as_wished() {
    let (_, proxy, database) = open();
    let mut reader = proxy.connect(&database);
    reader.say(|out| {
        out.query("SELECT pg_sleep(60)");
    });
    eventually("it runs", || (proxy.status()["unproven"] == 1).then_some(()));
    let kept = proxy.run(&["freeze", "--reason", "x", "--drain-timeout", "200ms"]);
    assert_eq!(kept.code, 3, "{kept:?}");
    assert!(kept.out.contains("unproven"), "{kept:?}");
    let ran =
        proxy.run(&["freeze", "--reason", "x", "--drain-timeout", "200ms", "--running-reads", "cancel"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(short(&reader.until('Z')), "TE57014 I");
    assert_eq!(reader.ask("SELECT 1"), "TDC I", "its connection stays");
}

#[test]
fn a_read_in_a_transaction_that_is_read_only_by_itself_holds_nothing_up() {
    let (_, proxy, database) = open();
    let mut reader = proxy.connect(&database);
    reader.ask("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    reader.say(|out| {
        out.query("SELECT pg_sleep(2)");
    });
    let ran = proxy.run(&["freeze", "--reason", "x", "--drain-timeout", "1s"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(short(&reader.until('Z')), "TDC T");
}

#[test]
fn a_client_that_vanishes_counts_until_the_server_has_ended_what_it_was_at() {
    let (server, proxy, database) = open();
    let mut writer = proxy.connect(&database);
    writer.say(|out| {
        out.query("INSERT INTO t SELECT 1 FROM pg_sleep(1.5)");
    });
    eventually("it writes", || (proxy.status()["writing_transactions"] == 1).then_some(()));
    drop(writer);
    proxy.shut();
    assert_eq!(proxy.status()["writing_transactions"], 1);
    proxy.is_eventually("frozen");
    assert_eq!(server.rows(&database), 1, "it was committed before frozen was said");
}

#[test]
fn on_timeout_thaw_opens_the_gate_again_and_exits_3() {
    let (_, proxy, database) = open();
    let mut writer = proxy.connect(&database);
    writer.ask("BEGIN; INSERT INTO t VALUES (1)");
    let ran = proxy.run(&["freeze", "--reason", "x", "--drain-timeout", "200ms", "--on-timeout", "thaw"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert_eq!(proxy.state(), "open");
    assert_eq!(writer.ask("COMMIT"), "C I");
}

#[test]
fn a_freeze_that_waits_is_overtaken_by_a_thaw() {
    let (_, proxy, database) = open();
    let mut writer = proxy.connect(&database);
    writer.ask("BEGIN; INSERT INTO t VALUES (1)");
    let waiting = proxy
        .verb(&["freeze", "--reason", "x"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    proxy.is_eventually("draining");
    proxy.thaw();
    let ran = Ran::of(&waiting.wait_with_output().unwrap());
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.out.contains("overtaken"), "{ran:?}");
}

#[test]
fn interrupting_the_wait_leaves_the_gate_shut_and_says_so() {
    let (_, proxy, database) = open();
    let mut writer = proxy.connect(&database);
    writer.ask("BEGIN; INSERT INTO t VALUES (1)");
    let waiting = proxy
        .verb(&["freeze", "--reason", "x"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    proxy.is_eventually("draining");
    // The signal may come before the verb waits for one: it is asked for until it has ended.
    let (pid, mut waiting) = (waiting.id().to_string(), waiting);
    std::thread::sleep(Duration::from_millis(200));
    std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap();
    eventually("the end of the verb", || waiting.try_wait().unwrap());
    let ran = Ran::of(&waiting.wait_with_output().unwrap());
    assert_eq!(ran.code, 130, "{ran:?}");
    assert!(ran.err.contains("the proxy is draining") && ran.err.contains("frostgate thaw"), "{ran:?}");
    assert_eq!(proxy.state(), "draining");
}
