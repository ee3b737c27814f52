//! The freeze outlives its process: on disk before a verb answers, read again at the start, and where it can't be
//! read, frozen.

use crate::support::{Postgres, Proxy, Ran, binary, upstream};
use std::{fs, process::Command};

#[test]
fn a_freeze_survives_being_killed_and_so_does_a_thaw() {
    let server = Postgres::shared();
    let database = server.database();
    let proxy = Proxy::spawn(server);
    proxy.freeze();
    let before = proxy.status();
    proxy.signal("KILL");
    let proxy = Proxy::in_folder(proxy.ended(), &upstream(server), &[]);
    proxy.is_eventually("frozen");
    let after = proxy.status();
    for kept in ["epoch", "reason", "by", "since"] {
        assert_eq!(after[kept], before[kept], "{kept}");
    }
    assert_eq!(proxy.connect(&database).ask("INSERT INTO t VALUES (1)"), "E25006 I");
    proxy.thaw();
    proxy.signal("KILL");
    let proxy = Proxy::in_folder(proxy.ended(), &upstream(server), &[]);
    assert_eq!(proxy.state(), "open");
    assert_eq!(proxy.status()["epoch"], 2);
    assert_eq!(proxy.connect(&database).ask("INSERT INTO t VALUES (1)"), "C I");
}

#[test]
fn stopping_gracefully_never_thaws() {
    let server = Postgres::shared();
    let proxy = Proxy::spawn(server);
    proxy.freeze();
    let mut idle = proxy.connect("postgres");
    proxy.signal("TERM");
    assert_eq!(idle.next().unwrap().field(b'C'), "57P01");
    let folder = proxy.ended();
    let text = fs::read_to_string(folder.path().join("state/state.json")).unwrap();
    assert!(text.contains("\"reason\": \"test\""), "{text}");
}

#[test]
fn a_graceful_stop_lets_a_transaction_come_to_its_end() {
    let server = Postgres::shared();
    let (proxy, database) = (Proxy::spawn(server), server.database());
    let mut writer = proxy.connect(&database);
    writer.ask("BEGIN; INSERT INTO t VALUES (1)");
    proxy.signal("TERM");
    crate::support::eventually("no new connections", || {
        std::net::TcpStream::connect(("127.0.0.1", proxy.port)).is_err().then_some(())
    });
    assert_eq!(writer.ask("COMMIT"), "C I");
    assert_eq!(writer.next().unwrap().field(b'C'), "57P01");
    proxy.ended();
    assert_eq!(server.rows(&database), 1);
}

#[test]
fn a_state_that_can_not_be_read_means_frozen_and_says_why() {
    let server = Postgres::shared();
    let database = server.database();
    let long = "x".repeat(100_000);
    for text in ["", "{", "{\"version\":2,\"epoch\":1,\"freeze\":null}", "[]", &long] {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("state")).unwrap();
        fs::write(folder.path().join("state/state.json"), text).unwrap();
        let proxy = Proxy::in_folder(folder, &upstream(server), &[]);
        proxy.is_eventually("frozen");
        let fault = proxy.status()["start_fault"].as_str().unwrap().to_owned();
        assert!(fault.contains("state.json"), "{fault}");
        assert!(proxy.run(&["status"]).out.contains("started frozen"));
        assert_eq!(proxy.connect(&database).ask("INSERT INTO t VALUES (1)"), "E25006 I");
        proxy.thaw();
        assert_eq!(proxy.connect(&database).ask("INSERT INTO t VALUES (1)"), "C I");
    }
}

#[test]
fn serve_frozen_starts_frozen_and_the_epoch_grows() {
    let server = Postgres::shared();
    let proxy = Proxy::with(&upstream(server), &["--frozen"]);
    proxy.is_eventually("frozen");
    let status = proxy.status();
    assert_eq!(
        (status["epoch"].as_u64(), status["reason"].as_str()),
        (Some(1), Some("started with --frozen"))
    );
}

#[test]
fn two_processes_never_have_one_state_directory() {
    let server = Postgres::shared();
    let proxy = Proxy::spawn(server);
    let output = Command::new(binary())
        .args([
            "serve",
            "--upstream",
            &upstream(server),
            "--listen",
            "127.0.0.1:0",
            "--http",
            "off",
            "--state-dir",
        ])
        .arg(proxy.folder.path().join("state"))
        .output()
        .unwrap();
    let ran = Ran::of(&output);
    assert_eq!(ran.code, 1, "it may be free a moment later: {ran:?}");
    assert!(ran.err.contains("is in use by another frostgate process"), "{ran:?}");
    assert_eq!(proxy.state(), "open", "the first one has not been hurt");
}

#[test]
fn an_address_that_is_taken_is_no_fault_of_the_configuration() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (folder, address) = (tempfile::tempdir().unwrap(), taken.local_addr().unwrap().to_string());
    let mut command = Command::new(binary());
    command.args(["serve", "--upstream", "host=h", "--http", "off", "--listen", &address, "--state-dir"]);
    let ran = Ran::of(&command.arg(folder.path()).output().unwrap());
    assert!(ran.code == 1 && ran.err.contains("can't listen on"), "{ran:?}");
}

#[test]
fn a_state_that_can_not_be_kept_is_a_failure_and_the_gate_is_shut_all_the_same() {
    let server = Postgres::shared();
    let (proxy, database) = (Proxy::spawn(server), server.database());
    let state = proxy.folder.path().join("state");
    // Root may write anywhere; but nobody renames a file over a folder.
    fs::create_dir(state.join("state.json")).unwrap();
    let ran = proxy.run(&["freeze", "--reason", "x"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("the gate is shut, but the state could not be kept"), "{ran:?}");
    assert_eq!(proxy.connect(&database).ask("INSERT INTO t VALUES (1)"), "E25006 I");
    let thaw = proxy.run(&["thaw"]);
    assert_eq!(thaw.code, 1, "{thaw:?}");
    assert_eq!(
        proxy.connect(&database).ask("INSERT INTO t VALUES (1)"),
        "E25006 I",
        "a thaw must be kept first"
    );
    fs::remove_dir(state.join("state.json")).unwrap();
    proxy.is_eventually("frozen");
    proxy.thaw();
}

#[test]
fn what_a_killed_proxy_left_running_keeps_the_next_one_from_frozen_until_it_has_ended() {
    let server = Postgres::shared();
    let (proxy, database) = (Proxy::spawn(server), server.database());
    let mut writer = proxy.connect(&database);
    writer.say(|out| {
        out.query("INSERT INTO t SELECT 1 FROM pg_sleep(2)");
    });
    let active =
        format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND state = 'active'");
    crate::support::eventually("it writes", || (server.sql("postgres", &active) == "1").then_some(()));
    proxy.signal("KILL");
    let proxy = Proxy::in_folder(proxy.ended(), &upstream(server), &[]);
    let ran = proxy.run(&["freeze", "--reason", "x", "--drain-timeout", "300ms"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert_eq!(proxy.status()["orphans"], 1);
    assert!(proxy.run(&["status"]).out.contains("did not stop well"));
    // Somebody must be logged in to ask.
    let _reader = proxy.connect(&database);
    proxy.is_eventually("frozen");
    assert_eq!(server.rows(&database), 1, "it was committed before frozen was said");
    assert_eq!(proxy.status()["orphans"], 0);
}
