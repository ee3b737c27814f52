//! Who may write while frozen, who may not even read, and whom a freeze reaches.

use crate::support::{Postgres, Proxy, Wire, eventually, message, unix_query, upstream};
use serde_json::Value;
use std::{io::Write as _, os::unix::net::UnixStream};

/// A session that gives itself that name.
pub(crate) fn named(proxy: &Proxy, database: &str, application: &str) -> Wire {
    let mut wire = Wire::open(proxy.port);
    wire.log_in(&[("user", "postgres"), ("database", database), ("application_name", application)]);
    wire
}

/// With that configuration.
pub(crate) fn configured(text: &str) -> Proxy {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("frostgate.toml");
    std::fs::write(&file, text).unwrap();
    Proxy::in_folder(folder, &upstream(Postgres::shared()), &["--config", file.to_str().unwrap()])
}

fn exception(proxy: &Proxy, name: &str) -> Value {
    let all = proxy.run(&["exceptions", "--json"]).json();
    let found = all["exceptions"].as_array().unwrap().iter().find(|e| e["name"] == name).cloned();
    found.unwrap_or_else(|| panic!("{name}: {all}"))
}

const INSERT: &str = "INSERT INTO t VALUES (1)";

#[test]
fn an_exception_of_the_configuration_writes_without_a_fence_and_is_counted() {
    let proxy = configured(
        "[[exceptions]]\nname = 'backup'\napplication = 'backup*'\nnetwork = '127.0.0.0/8'\nreason = 'catalog'\n\
         owner = 'dba'\n[[exceptions]]\nname = 'idle'\nuser = 'nobody'\nreason = 'x'\n",
    );
    let database = Postgres::shared().database();
    let mut before = named(&proxy, &database, "backup 1");
    before.ask("SELECT 1");
    proxy.freeze();
    let mut after = named(&proxy, &database, "backup 2");
    for client in [&mut before, &mut after] {
        assert_eq!(client.ask(INSERT), "C I");
        assert_eq!(client.value("SHOW default_transaction_read_only"), "off");
    }
    assert_eq!(named(&proxy, &database, "web").ask(INSERT), "E25006 I");
    let used = exception(&proxy, "backup");
    assert_eq!((&used["sessions"], &used["writes"]), (&2.into(), &2.into()), "{used}");
    assert_eq!((&used["owner"], &used["is_configured"]), (&"dba".into(), &true.into()));
    for (metric, value) in [
        ("frostgate_exceptions{use=\"used\"}", 1.0),
        ("frostgate_exceptions{use=\"unused\"}", 1.0),
        ("frostgate_statements_exempt_total{by=\"exception\"}", 4.0),
    ] {
        assert_eq!(proxy.metric(metric), Some(value), "{metric}");
    }
    let text = proxy.run(&["exceptions"]).out;
    assert!(text.contains("idle: user nobody may write: x; configured; UNUSED"), "{text}");
    assert_eq!(proxy.state(), "frozen");
}

#[test]
fn exceptions_are_made_and_unmade_while_frozen_and_end_with_the_freeze() {
    let server = Postgres::shared();
    let (proxy, database) = (Proxy::spawn(server), server.database());
    proxy.freeze();
    let mut client = named(&proxy, &database, "import");
    assert_eq!(client.ask(INSERT), "E25006 I");
    let made =
        proxy.run(&["except", "add", "--application", "import", "--reason", "late file", "--json"]).json();
    assert_eq!((&made["name"], &made["is_forgeable"]), (&"e1".into(), &true.into()));
    assert!(proxy.run(&["exceptions"]).out.contains("no security boundary"));
    eventually("the exception holds", || (client.ask(INSERT) == "C I").then_some(()));
    client.ask("BEGIN");
    assert_eq!(client.ask(INSERT), "C T");
    assert_eq!(proxy.run(&["except", "remove", "e1"]).code, 0);
    assert_eq!(proxy.state(), "draining", "its transaction wrote and has not ended");
    assert_eq!(client.ask("COMMIT"), "C I");
    proxy.is_eventually("frozen");
    assert_eq!(client.ask(INSERT), "E25006 I");
    assert_eq!(proxy.run(&["except", "remove", "e1"]).code, 2);
    assert_eq!(proxy.run(&["except", "add", "--application", "x", "--reason", "y"]).code, 0);
    proxy.thaw();
    assert!(proxy.run(&["exceptions"]).out.contains("nobody is excepted"));
    assert_eq!(proxy.audit("exception_made").len(), 2);
}

#[test]
fn an_exception_follows_the_application_name_and_ends_at_its_hour() {
    let server = Postgres::shared();
    let (proxy, database) = (Proxy::spawn(server), server.database());
    proxy.freeze();
    let add = ["except", "add", "--application", "cron", "--reason", "x", "--until", "2s"];
    assert_eq!(proxy.run(&add).code, 0);
    let mut client = named(&proxy, &database, "web");
    assert_eq!(client.ask(INSERT), "E25006 I");
    client.ask("SET application_name = 'cron'");
    assert_eq!(client.ask(INSERT), "C I");
    client.ask("SET application_name = 'web'");
    assert_eq!(client.ask(INSERT), "E25006 I");
    client.ask("SET application_name = 'cron'");
    eventually("it is over", || (client.ask(INSERT) == "E25006 I").then_some(()));
    assert_eq!(proxy.audit("exceptions_over").len(), 1);
    proxy.is_eventually("frozen");
}

#[test]
fn an_exception_needs_a_match_and_a_reason() {
    let proxy = Proxy::spawn(Postgres::shared());
    for (arguments, expected) in [
        (&["--reason", "x"][..], "at least one of user"),
        (&["--user", "a", "--reason", " "], "reason: expected"),
        (&["--user", "a*b", "--reason", "x"], "with * at the end"),
        (&["--network", "10.0.0.0/99", "--reason", "x"], "10.0.0.0/8"),
        (&["--user", "a"], "--reason"),
    ] {
        let ran = proxy.run(&[&["except", "add"], arguments].concat());
        assert_eq!(ran.code, 2, "{arguments:?}: {ran:?}");
        assert!(ran.err.contains(expected), "{arguments:?}: {ran:?}");
    }
}

#[test]
fn who_is_denied_runs_nothing_while_frozen() {
    let proxy = configured("[[deny]]\nname = 'que'\napplication = 'que*'\nreason = 'jobs would run twice'\n");
    let database = Postgres::shared().database();
    let (mut idle, mut busy) = (named(&proxy, &database, "que 1"), named(&proxy, &database, "que 2"));
    idle.ask("SELECT 1");
    busy.ask("BEGIN");
    assert_eq!(busy.ask(INSERT), "C T");
    proxy.shut();
    let last = idle.until('E').pop().unwrap();
    assert!(last.told().starts_with("57P01"), "{}", last.told());
    assert_eq!(idle.next(), None);
    assert_eq!(busy.ask(INSERT), "C T", "what wrote may go on");
    busy.send(&message(b'Q', b"COMMIT\0"));
    let end = busy.until('E').pop().unwrap();
    assert!(end.told().starts_with("57P01"), "{}", end.told());
    proxy.is_eventually("frozen");
    let mut refused = Wire::open(proxy.port);
    refused.send(
        &frostgate::wire::startup::StartupMessage::new(&[
            ("user", "postgres"),
            ("database", &database),
            ("application_name", "que 3"),
        ])
        .encode(),
    );
    let told = refused.until('E').pop().unwrap();
    assert!(told.told().starts_with("57P03 this client runs nothing"), "{}", told.told());
    let mut web = named(&proxy, &database, "web");
    assert_eq!(web.ask("SELECT 1"), "TDC I");
    web.send(&message(b'Q', b"SET application_name = 'que 4'\0"));
    assert!(web.until('E').pop().unwrap().told().starts_with("57P01"));
    assert_eq!(exception(&proxy, "que")["sessions"], 3);
    proxy.thaw();
    assert_eq!(named(&proxy, &database, "que 5").ask(INSERT), "C I");
}

#[test]
fn who_is_denied_with_a_transaction_open_that_an_exception_let_write_is_drained_for() {
    let proxy = configured("[[exceptions]]\nname = 'import'\napplication = 'import'\nreason = 'late'\n");
    let database = Postgres::shared().database();
    let mut import = named(&proxy, &database, "import");
    proxy.freeze();
    import.ask("BEGIN");
    assert_eq!(import.ask(INSERT), "C T");
    assert_eq!(proxy.state(), "frozen", "while it is excepted it is waited for by nobody");
    let deny = ["except", "add", "--deny", "--application", "import", "--reason", "gone wrong"];
    assert_eq!(proxy.run(&deny).code, 0);
    assert_eq!(proxy.state(), "draining");
    import.send(&message(b'Q', b"COMMIT\0"));
    assert!(import.until('E').pop().unwrap().told().starts_with("57P01"));
    proxy.is_eventually("frozen");
}

#[test]
fn a_freeze_of_one_database_leaves_the_others_alone_and_grows_and_shrinks() {
    let server = Postgres::shared();
    let (proxy, one, two) = (Proxy::spawn(server), server.database(), server.database());
    let (mut first, mut second) = (proxy.connect(&one), proxy.connect(&two));
    second.ask("BEGIN");
    assert_eq!(second.ask(INSERT), "C T");
    let ran = proxy.run(&["freeze", "--reason", "x", "--database", &one]);
    assert_eq!(ran.code, 0, "a writer of another database holds nothing up: {ran:?}");
    assert_eq!((first.ask(INSERT).as_str(), second.ask(INSERT).as_str()), ("E25006 I", "C T"));
    assert_eq!(proxy.status()["scope"][0]["database"], one);
    let ran = proxy.run(&["freeze", "--reason", "x", "--database", &two, "--drain-timeout", "1ms"]);
    assert_eq!(ran.code, 3, "now it does: {ran:?}");
    assert_eq!(second.ask("COMMIT"), "C I");
    proxy.is_eventually("frozen");
    assert_eq!((first.ask(INSERT).as_str(), second.ask(INSERT).as_str()), ("E25006 I", "E25006 I"));
    assert_eq!(proxy.run(&["thaw", "--database", &one]).code, 0);
    assert_eq!((first.ask(INSERT).as_str(), second.ask(INSERT).as_str()), ("C I", "E25006 I"));
    assert_eq!(proxy.run(&["thaw", "--database", &two]).code, 0);
    assert_eq!((proxy.state().as_str(), second.ask(INSERT).as_str()), ("open", "C I"));
}

#[test]
fn a_name_that_is_longer_than_the_server_reads_is_the_one_that_it_cuts_it_to() {
    let server = Postgres::shared();
    let (proxy, database) = (Proxy::spawn(server), "d".repeat(63));
    server.sql("postgres", &format!("CREATE DATABASE {database}"));
    server.sql(&database, "CREATE TABLE t (a int)");
    assert_eq!(proxy.run(&["freeze", "--reason", "x", "--database", &database]).code, 0);
    let mut longer = proxy.connect(&format!("{database}x"));
    assert_eq!(longer.value("SELECT current_database()"), database);
    assert_eq!(longer.ask(INSERT), "E25006 I");
    assert_eq!(longer.value("SHOW frostgate.state"), "frozen");
}

#[test]
fn the_scope_and_the_exceptions_outlive_the_process() {
    let server = Postgres::shared();
    let (proxy, one, two) = (Proxy::spawn(server), server.database(), server.database());
    assert_eq!(proxy.run(&["freeze", "--reason", "x", "--database", &one]).code, 0);
    assert_eq!(proxy.run(&["except", "add", "--application", "late", "--reason", "y"]).code, 0);
    proxy.signal("TERM");
    let proxy = Proxy::in_folder(proxy.ended(), &upstream(server), &[]);
    proxy.is_eventually("frozen");
    assert_eq!(proxy.connect(&one).ask(INSERT), "E25006 I");
    assert_eq!(proxy.connect(&two).ask(INSERT), "C I");
    assert_eq!(named(&proxy, &one, "late").ask(INSERT), "C I");
}

#[test]
fn who_may_write_while_frozen_is_no_straggler_and_is_not_rolled_back() {
    let proxy = configured("[[exceptions]]\nname = 'import'\napplication = 'import'\nreason = 'late'\n");
    let (one, two) = (Postgres::shared().database(), Postgres::shared().database());
    let mut maintenance = UnixStream::connect(&proxy.maintenance).unwrap();
    unix_query(&mut maintenance, &one, "BEGIN; INSERT INTO t VALUES (1)");
    let mut free =
        [named(&proxy, &one, "import"), named(&proxy, &two, "elsewhere"), named(&proxy, &one, "web")];
    for client in &mut free {
        assert_eq!(client.ask("BEGIN; INSERT INTO t VALUES (1)"), "CC T");
    }
    let freeze = ["freeze", "--reason", "x", "--database", &one, "--drain-timeout", "200ms"];
    let ran = proxy.run(&freeze);
    assert_eq!((ran.code, ran.out.matches("end it with").count()), (3, 1), "{ran:?}");
    assert!(ran.out.contains("application \"web\""), "{ran:?}");
    let ran = proxy.run(&[&freeze[..], &["--stragglers", "rollback"]].concat());
    assert_eq!(ran.code, 0, "{ran:?}");
    for told in proxy.audit("drain_timeout") {
        let stragglers = told["stragglers"].as_array().unwrap();
        assert_eq!((stragglers.len(), &stragglers[0]["application"]), (1, &"web".into()), "{told}");
    }
    let [import, elsewhere, web] = &mut free;
    assert!(web.until('E').pop().unwrap().told().starts_with("57P01"));
    for client in [import, elsewhere] {
        assert_eq!(client.ask("COMMIT"), "C I");
    }
    maintenance.write_all(&message(b'Q', b"COMMIT\0")).unwrap();
    eventually("both that were free to commit have", || (Postgres::shared().rows(&one) == 2).then_some(()));
    assert_eq!(Postgres::shared().rows(&two), 1);
}

#[test]
fn a_thaw_waits_for_the_transaction_of_an_excepted_session_and_for_none_out_of_its_scope() {
    let proxy = configured("[[exceptions]]\nname = 'import'\napplication = 'import'\nreason = 'late'\n");
    let (one, two) = (Postgres::shared().database(), Postgres::shared().database());
    let (mut import, mut elsewhere) = (named(&proxy, &one, "import"), named(&proxy, &two, "web"));
    assert_eq!(proxy.run(&["freeze", "--reason", "x", "--database", &one]).code, 0);
    for client in [&mut import, &mut elsewhere] {
        assert_eq!(client.ask("BEGIN; INSERT INTO t VALUES (1)"), "CC T");
    }
    let ran = proxy.run(&["thaw"]);
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.err.contains("1 exempt session(s) have a transaction open"), "{ran:?}");
    let status = proxy.status();
    let waited_for = status["holding_up"].as_array().unwrap();
    assert_eq!((waited_for.len(), &waited_for[0]["standing"]), (1, &"exempt".into()), "{status}");
    assert_eq!(waited_for[0]["application"], "import", "{status}");
    assert_eq!((&status["exempt_sessions"], &status["spared_sessions"]), (&1.into(), &1.into()), "{status}");
    assert_eq!(import.ask("COMMIT"), "C I");
    proxy.thaw();
    assert_eq!(elsewhere.ask("COMMIT"), "C I");
}
