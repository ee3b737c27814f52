//! The third wall: what the monitor sees of the server beside the proxy, what it says of it, and what follows.

use crate::support::{Postgres, Proxy, Ran, eventually, upstream};
use serde_json::Value;
use std::sync::OnceLock;

/// One server for this file and `facts.rs`: a check looks at all of it, and must not find the other tests' clients.
pub(crate) fn server() -> &'static Postgres {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    SERVER.get_or_init(|| {
        let server = Postgres::start();
        server.stop_with_this_process();
        // What autovacuum does by itself would be there in one run and not in the next.
        server.sql("postgres", "ALTER SYSTEM SET autovacuum = off");
        server.sql("postgres", "SELECT pg_reload_conf()");
        server.sql("postgres", "CREATE ROLE monitor LOGIN IN ROLE pg_monitor; CREATE ROLE plain LOGIN");
        server
    })
}

/// Tests on it take turns: each of them would be the other's bypasser.
pub(crate) fn turn() -> std::sync::MutexGuard<'static, ()> {
    static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
    TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

pub(crate) fn monitored(server: &Postgres, role: &str, more: &[&str]) -> Proxy {
    let monitor = format!("host=127.0.0.1 port={} user={role} dbname=postgres", server.port);
    let all = [&["--monitor", &monitor], more].concat();
    Proxy::with(&upstream(server), &all)
}

pub(crate) fn verify(proxy: &Proxy) -> (Ran, Value) {
    let ran = proxy.run(&["verify", "--for", "300ms", "--json"]);
    let json = if ran.out.is_empty() { Value::Null } else { ran.json() };
    (ran, json)
}

pub(crate) fn violations(report: &Value) -> Vec<String> {
    let all = report["findings"].as_array().unwrap().iter();
    all.filter(|finding| finding["weight"] == "violation")
        .map(|finding| finding["kind"].as_str().unwrap().to_owned())
        .collect()
}

/// A session that goes round the proxy, until it is dropped.
fn bypasser(server: &Postgres, database: &str) -> crate::support::Wire {
    crate::support::Wire::connect(server.port, database)
}

#[test]
fn without_a_monitor_nobody_can_tell_and_the_text_says_how_to_get_one() {
    let proxy = Proxy::spawn(Postgres::shared());
    let ran = proxy.run(&["verify"]);
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.err.contains("--monitor") && ran.err.contains("pg_monitor"), "{ran:?}");
    let ran = proxy.run(&["freeze", "--reason", "x", "--require-quiet"]);
    assert_eq!(ran.code, 4, "{ran:?}");
    assert_eq!(proxy.state(), "open", "the guard came first");
    proxy.freeze();
    assert_eq!(proxy.status()["quiet"], "not_checked");
    assert_eq!(proxy.metric("frostgate_quiet{verdict=\"not_checked\"}"), Some(1.0));
    assert_eq!(proxy.metric("frostgate_bypassers"), Some(0.0));
}

#[test]
fn a_frozen_server_with_nobody_else_on_it_is_verified_quiet() {
    let _turn = turn();
    let (server, proxy) = (server(), monitored(server(), "monitor", &[]));
    let database = server.database();
    let mut reader = proxy.connect(&database);
    let ran = proxy.run(&["freeze", "--reason", "x", "--require-quiet", "--json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let status = ran.json();
    assert_eq!((status["state"].as_str(), status["quiet"].as_str()), (Some("frozen"), Some("verified")));
    assert!(status["check"]["wal"].as_str().unwrap().contains('/'), "{status}");
    reader.ask("SELECT count(*) FROM t");
    reader.ask("INSERT INTO t VALUES (1)");
    let (ran, report) = verify(&proxy);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!((report["quiet"].as_str(), report["proof"].as_str()), (Some("verified"), Some("unchanged")));
    assert!(report["server"]["identifier"].as_str().unwrap().len() > 10, "{report}");
    assert_eq!(proxy.metric("frostgate_quiet{verdict=\"verified\"}"), Some(1.0));
    assert_eq!(proxy.metric("frostgate_bypassers"), Some(0.0));
    assert!(proxy.run(&["status"]).out.contains("quiet: verified"));
    proxy.thaw();
    assert_eq!(proxy.status()["quiet"], "not_checked", "it was said of the freeze");
}

#[test]
fn a_bypasser_is_told_by_who_it_is_with_the_sql_that_ends_it() {
    let _turn = turn();
    let (server, proxy) = (server(), monitored(server(), "monitor", &[]));
    let database = server.database();
    let mut worker = bypasser(server, &database);
    worker.ask("SET application_name = 'worker'");
    worker.ask("BEGIN; INSERT INTO t VALUES (1)");
    let ran = proxy.run(&["freeze", "--reason", "x"]);
    assert_eq!(ran.code, 0, "frozen it is, through the proxy: {ran:?}");
    assert!(ran.out.contains("NOT quiet") && ran.out.contains("worker"), "{ran:?}");
    let ran = proxy.run(&["freeze", "--reason", "x", "--require-quiet"]);
    assert_eq!(ran.code, 7, "{ran:?}");
    assert_eq!(proxy.state(), "frozen", "the gate stays shut");
    let (ran, report) = verify(&proxy);
    assert_eq!((ran.code, violations(&report)), (7, vec!["bypasser".to_owned()]), "{ran:?}");
    let who = &report["findings"][0]["who"];
    assert_eq!(
        (who["user"].as_str(), who["application"].as_str(), who["address"].as_str()),
        (Some("postgres"), Some("worker"), Some("127.0.0.1"))
    );
    assert_eq!(
        (who["database"].as_str(), who["state"].as_str()),
        (Some(database.as_str()), Some("idle in transaction"))
    );
    assert_eq!(who["has_transaction_id"], true);
    assert_eq!(proxy.metric("frostgate_bypassers"), Some(1.0));
    assert_eq!(proxy.metric("frostgate_quiet{verdict=\"violated\"}"), Some(1.0));
    assert!(proxy.run(&["status"]).out.contains("NOT QUIET"));
    server.sql("postgres", report["findings"][0]["stop_with"].as_str().unwrap());
    while worker.next().is_some() {}
    let (ran, _) = verify(&proxy);
    assert_eq!(ran.code, 0, "it has been stopped: {ran:?}");
}

#[test]
fn who_is_expected_and_the_maintenance_listener_are_no_bypassers() {
    let _turn = turn();
    let (server, proxy) =
        (server(), monitored(server(), "monitor", &["--expect", "user=postgres,application=backup"]));
    let database = server.database();
    let mut backup = bypasser(server, &database);
    backup.ask("SET application_name = 'backup'");
    proxy.freeze();
    let ran = proxy.psql_maintenance(&database, &["-c", "INSERT INTO t VALUES (1)"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let (ran, report) = verify(&proxy);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(report["expected"], 1);
    backup.ask("SET application_name = 'not a backup'");
    assert_eq!(violations(&verify(&proxy).1), ["bypasser"]);
}

#[test]
fn what_the_maintenance_listener_writes_is_explained() {
    let _turn = turn();
    let (server, proxy) = (server(), monitored(server(), "monitor", &[]));
    let database = server.database();
    proxy.freeze();
    let mut watching = proxy.verb(&["verify", "--for", "2s", "--json"]);
    let watching = watching.stdout(std::process::Stdio::piped()).spawn().unwrap();
    eventually("it writes while it is watched", || {
        proxy.psql_maintenance(&database, &["-c", "INSERT INTO t VALUES (1)"]);
        (server.rows(&database) > 3).then_some(())
    });
    let ran = Ran::of(&watching.wait_with_output().unwrap());
    let report = ran.json();
    // The rows were counted directly: those sessions may have been seen.
    assert!(violations(&report).iter().all(|kind| kind == "bypasser"), "{report}");
    assert_eq!(report["proof"], "explained", "{report}");
    assert!(ran.out.contains("maintenance listener ran"), "{ran:?}");
}

#[test]
fn a_write_that_came_and_went_between_two_looks_is_still_found() {
    let _turn = turn();
    let (server, proxy) = (server(), monitored(server(), "monitor", &[]));
    let database = server.database();
    proxy.freeze();
    let watching = proxy
        .verb(&["verify", "--for", "3s", "--json"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    for _ in 0..3 {
        server.sql(&database, "INSERT INTO t VALUES (1)");
    }
    let ran = Ran::of(&watching.wait_with_output().unwrap());
    assert_eq!(ran.code, 7, "{ran:?}");
    assert!(violations(&ran.json()).contains(&"transaction_ids".to_owned()), "{ran:?}");
}

#[test]
fn analyze_by_autovacuum_and_dropped_temporary_tables_do_not_cry_wolf() {
    let _turn = turn();
    let (server, proxy) = (server(), monitored(server(), "monitor", &[]));
    let database = server.database();
    let mut client = proxy.connect(&database);
    client.ask("CREATE TEMPORARY TABLE mine (a int)");
    proxy.freeze();
    let watching = proxy
        .verb(&["verify", "--for", "2s", "--json"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let xmax = "SELECT pg_snapshot_xmax(pg_current_snapshot())";
    let mut asking = proxy.connect("postgres");
    let before = asking.value(xmax);
    drop(client);
    eventually("the tables are dropped", || (asking.value(xmax) != before).then_some(()));
    let ran = Ran::of(&watching.wait_with_output().unwrap());
    assert_eq!(ran.code, 0, "{ran:?}");
    // If the watch began late, there was nothing to explain.
    assert!(ran.out.contains("drops their temporary tables") || ran.out.contains("unchanged"), "{ran:?}");
}

#[test]
fn prepared_transactions_slots_and_locks_are_named() {
    let _turn = turn();
    let (server, proxy) = (server(), monitored(server(), "monitor", &[]));
    let database = server.database();
    server.sql(&database, "BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'p''1'");
    server.sql(&database, "SELECT pg_create_physical_replication_slot('old')");
    let mut locker = bypasser(server, &database);
    locker.ask("CREATE TABLE other ()");
    locker.ask("BEGIN; LOCK TABLE other IN SHARE MODE");
    proxy.freeze();
    let (ran, report) = verify(&proxy);
    assert_eq!(ran.code, 7, "{ran:?}");
    let all = report["findings"].as_array().unwrap();
    let stop = |kind: &str| {
        let found = all.iter().find(|finding| finding["kind"] == kind);
        found.unwrap_or_else(|| panic!("{kind}: {report}"))["stop_with"].as_str().unwrap().to_owned()
    };
    assert!(stop("prepared_transaction").starts_with("ROLLBACK PREPARED 'p''1';"));
    assert_eq!(stop("slot"), "SELECT pg_drop_replication_slot('old');");
    assert!(stop("lock").starts_with("SELECT pg_terminate_backend("));
    drop(locker);
    server.sql(&database, "ROLLBACK PREPARED 'p''1'");
    server.sql(&database, "SELECT pg_drop_replication_slot('old')");
    eventually("the locker has gone", || (verify(&proxy).0.code == 0).then_some(()));
}

#[test]
fn an_enabled_subscription_is_a_writer_with_the_sql_that_disables_it() {
    let _turn = turn();
    let (server, proxy) = (server(), monitored(server(), "monitor", &[]));
    let database = server.database();
    server.sql(
        &database,
        "CREATE SUBSCRIPTION feed CONNECTION 'host=127.0.0.1 port=1' PUBLICATION p WITH (connect = false)",
    );
    proxy.freeze();
    assert_eq!(violations(&verify(&proxy).1), Vec::<String>::new(), "it is not enabled");
    server.sql(&database, "ALTER SUBSCRIPTION feed ENABLE");
    let (_, report) = verify(&proxy);
    assert_eq!(violations(&report), ["subscription"]);
    let stop = report["findings"][0]["stop_with"].as_str().unwrap();
    assert!(stop.starts_with("ALTER SUBSCRIPTION \"feed\" DISABLE;"), "{stop}");
    server.sql(&database, stop);
    server.sql(&database, "ALTER SUBSCRIPTION feed SET (slot_name = NONE)");
    server.sql(&database, "DROP SUBSCRIPTION feed");
}

#[test]
fn a_role_without_rights_finds_the_bypasser_and_says_what_more_rights_would_show() {
    let _turn = turn();
    let (server, proxy) = (server(), monitored(server(), "plain", &[]));
    let database = server.database();
    proxy.freeze();
    let (ran, report) = verify(&proxy);
    assert_eq!((ran.code, violations(&report)), (0, Vec::new()), "{ran:?}");
    let rights = &report["findings"][0];
    assert_eq!((rights["kind"].as_str(), rights["weight"].as_str()), (Some("rights"), Some("warning")));
    assert_eq!(rights["stop_with"], "GRANT pg_monitor TO \"plain\";");
    let mut worker = bypasser(server, &database);
    worker.ask("BEGIN; INSERT INTO t VALUES (1)");
    let (ran, report) = verify(&proxy);
    assert_eq!((ran.code, violations(&report)), (7, vec!["bypasser".to_owned()]), "{ran:?}");
    assert_eq!(report["findings"][0]["who"]["has_transaction_id"], true, "that is told to everybody");
    assert_eq!(report["findings"][0]["who"]["state"], Value::Null);
    assert_eq!(report["findings"][0]["who"]["transaction_age_s"], Value::Null, "hidden is not zero");
}

#[test]
fn while_frozen_the_monitor_looks_again_by_itself() {
    let _turn = turn();
    let server = server();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    std::fs::write(&config, "[limits]\nmonitor_interval_ms = 50\n").unwrap();
    let proxy = monitored(server, "monitor", &["--config", config.to_str().unwrap()]);
    let database = server.database();
    proxy.freeze();
    let is = |quiet: &str| eventually(quiet, || (proxy.status()["quiet"] == quiet).then_some(()));
    is("verified");
    let worker = bypasser(server, &database);
    is("violated");
    eventually("the audit tells it", || {
        proxy.audit("quiet").iter().any(|line| line["violations"][0]["kind"] == "bypasser").then_some(())
    });
    drop(worker);
    is("verified");
    proxy.thaw();
    assert_eq!(proxy.status()["quiet"], "not_checked");
}

#[test]
fn a_monitor_that_is_not_let_in_is_exit_5_and_says_why() {
    let _turn = turn();
    let (server, proxy) = (server(), monitored(server(), "nobody_knows", &[]));
    let ran = proxy.run(&["verify"]);
    assert_eq!(ran.code, 5, "{ran:?}");
    assert!(ran.err.contains("nobody_knows"), "{ran:?}");
    let ran = proxy.run(&["freeze", "--reason", "x"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.contains("not checked") && ran.out.contains("nobody_knows"), "{ran:?}");
    assert_eq!(proxy.run(&["freeze", "--reason", "x", "--require-quiet"]).code, 5);
    assert_eq!(proxy.status()["quiet"], "not_checked");
    drop(server.sql("postgres", "SELECT 1"));
}

#[test]
fn the_monitor_finds_out_by_itself_that_an_orphan_has_ended() {
    for role in ["monitor", "plain"] {
        orphan_has_ended(role);
    }
}

/// Also where the role does not see how old a session is.
fn orphan_has_ended(role: &str) {
    let _turn = turn();
    let server = server();
    let database = server.database();
    let proxy = monitored(server, role, &[]);
    let mut writer = proxy.connect(&database);
    writer.say(|out| {
        out.query("INSERT INTO t SELECT 1 FROM pg_sleep(2)");
    });
    let active = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND query LIKE '%pg_sleep%'"
    );
    eventually("it writes", || (server.sql("postgres", &active) == "1").then_some(()));
    proxy.signal("KILL");
    let monitor = format!("host=127.0.0.1 port={} user={role}", server.port);
    let proxy = Proxy::in_folder(proxy.ended(), &upstream(server), &["--monitor", &monitor]);
    let ran = proxy.run(&["freeze", "--reason", "x", "--drain-timeout", "100ms"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert_eq!(violations(&verify(&proxy).1), ["orphan"]);
    proxy.is_eventually("frozen");
    assert_eq!(server.rows(&database), 1, "nobody had to log in, {role}");
}

#[test]
fn strict_functions_are_refused_while_frozen_however_they_are_called() {
    let server = Postgres::shared();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    std::fs::write(&config, "strict_functions = true\n").unwrap();
    let database = server.database();
    server.sql(&database, "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'");
    let proxy = Proxy::with(&upstream(server), &["--config", config.to_str().unwrap()]);
    let mut client = proxy.connect(&database);
    client.ask("PREPARE p AS SELECT mine()");
    assert_eq!(client.ask("SELECT mine()"), "TDC I", "open, nothing is refused");
    proxy.freeze();
    for sql in ["SELECT mine()", "EXECUTE p", "SELECT 1 WHERE public.mine() = 1"] {
        assert_eq!(client.ask(sql), "E25006 I", "{sql}");
    }
    assert!(client.extended("SELECT mine()").ends_with("E25006 I"));
    assert_eq!(client.ask("SELECT lower('A'), count(*) FROM t"), "TDC I");
    proxy.thaw();
    assert_eq!(client.ask("EXECUTE p"), "TDC I");
}
