//! The command line and what is seen from outside: codes, texts, JSON, metrics.

use crate::support::{Postgres, Proxy, Ran, binary, eventually, upstream};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    process::{Command, Stdio},
    thread,
};

fn run(arguments: &[&str]) -> Ran {
    Ran::of(&Command::new(binary()).args(arguments).stdin(Stdio::null()).output().unwrap())
}

#[test]
fn status_tells_everything_that_the_contract_names() {
    let proxy = Proxy::spawn(Postgres::shared());
    let status = proxy.status();
    for key in [
        "state",
        "epoch",
        "reason",
        "by",
        "since",
        "until",
        "sessions",
        "writing_transactions",
        "unproven",
        "stragglers",
        "readonly_leftovers",
        "exempt_sessions",
        "refused_total",
        "fence",
        "quiet",
        "state_durable",
    ] {
        assert!(status.get(key).is_some(), "{key}: {status}");
    }
    assert_eq!(proxy.run(&["status", "--is", "open"]).code, 0);
    assert_eq!(proxy.run(&["status", "--is", "frozen"]).code, 1);
}

/// The fields that a table of the page explains, by what its first column is called.
fn explained(heading: &str) -> BTreeSet<String> {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/STATUS.md")).unwrap();
    let table = page.split(&format!("| {heading} | what it is |")).nth(1).unwrap().to_owned();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.split('`').nth(1).unwrap().to_owned()).collect()
}

#[test]
fn every_field_of_the_status_is_explained_in_its_page_and_no_other_is() {
    let server = Postgres::trusting();
    let monitor = format!("{} user=postgres dbname=postgres", upstream(server));
    let proxy = Proxy::with(&upstream(server), &["--monitor", &monitor]);
    let mut writer = proxy.connect(&server.database());
    assert_eq!(writer.ask("BEGIN; INSERT INTO t VALUES (1)"), "CC T");
    let status = eventually("the writer is told", || {
        Some(proxy.status()).filter(|status| !status["holding_up"].as_array().unwrap().is_empty())
    });
    let keys = |of: &Value| of.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    for (heading, told) in [
        ("field", &status),
        ("field of `holding_up`", &status["holding_up"][0]),
        ("field of `check`", &status["check"]),
        ("field of `upstreams`", &status["upstreams"][0]),
    ] {
        assert_eq!(explained(heading), keys(told), "{heading}");
    }
}

#[test]
fn verbs_may_be_said_twice_and_the_epoch_grows_only_with_a_change() {
    let proxy = Proxy::spawn(Postgres::shared());
    let reply = |arguments: &[&str]| proxy.run(arguments).json();
    let first = reply(&["freeze", "--reason", "x", "--json"]);
    assert_eq!((first["state"].as_str(), first["epoch"].as_u64()), (Some("frozen"), Some(1)));
    assert!(first["frozen_at"].is_string());
    assert_eq!(reply(&["freeze", "--reason", "y", "--json"])["epoch"], 1);
    let thawed = reply(&["thaw", "--json"]);
    assert_eq!((thawed["epoch"].as_u64(), thawed["changed"].as_bool()), (Some(2), Some(true)));
    assert_eq!(reply(&["thaw", "--json"])["changed"], false);
}

#[test]
fn concurrent_verbs_leave_one_state_and_an_epoch_that_only_grew() {
    let proxy = Proxy::spawn(Postgres::shared());
    thread::scope(|scope| {
        for n in 0..8 {
            let proxy = &proxy;
            scope.spawn(move || {
                for _ in 0..5 {
                    if n % 2 == 0 {
                        proxy.run(&["freeze", "--reason", "x", "--no-wait"]);
                    } else {
                        proxy.run(&["thaw"]);
                    }
                }
            });
        }
    });
    let last = proxy.status()["epoch"].as_u64().unwrap();
    // The audit's lines come by a pipe: the last one may be a moment late.
    let epochs = eventually("the last change is told", || {
        let lines = [proxy.audit("freeze"), proxy.audit("thaw")].concat();
        let changes = lines.iter().filter(|line| line["changed"] != false);
        let epochs: Vec<u64> = changes.map(|line| line["epoch"].as_u64().unwrap()).collect();
        (epochs.iter().max() == Some(&last)).then_some(epochs)
    });
    let mut sorted = epochs.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), epochs.len(), "no epoch was given twice");
    proxy.freeze();
    proxy.thaw();
}

#[test]
fn signals_freeze_and_thaw() {
    let server = Postgres::shared();
    let (proxy, database) = (Proxy::spawn(server), server.database());
    proxy.signal("USR1");
    proxy.is_eventually("frozen");
    assert_eq!(proxy.status()["reason"], "signal");
    assert_eq!(proxy.connect(&database).ask("INSERT INTO t VALUES (1)"), "E25006 I");
    proxy.signal("USR2");
    proxy.is_eventually("open");
    proxy.signal("HUP");
    assert_eq!(proxy.connect(&database).ask("INSERT INTO t VALUES (1)"), "C I");
}

#[test]
fn refused_tells_who_tried_what_how_often() {
    let server = Postgres::shared();
    let (proxy, database) = (Proxy::spawn(server), server.database());
    proxy.freeze();
    let mut client = proxy.connect(&database);
    client.ask("SET application_name = 'worker'");
    for n in 0..3 {
        client.ask(&format!("INSERT INTO t VALUES ({n})"));
    }
    client.ask("SET application_name = 'cron'");
    client.ask("WITH d AS (DELETE FROM t RETURNING a) SELECT * FROM d");
    let all = eventually("all are told", || {
        Some(proxy.run(&["refused", "--json"]).json())
            .filter(|all| all["total"] == 4 && all["refused"].as_array().unwrap().len() == 2)
    });
    let first = &all["refused"][0];
    assert_eq!(first["count"], 3);
    assert_eq!((first["user"].as_str(), first["application"].as_str()), (Some("postgres"), Some("worker")));
    assert_eq!((first["command"].as_str(), &first["tables"][0]), (Some("INSERT"), &Value::from("t")));
    assert_eq!(first["client"], "127.0.0.1");
    assert!(first.get("statement").is_none(), "no SQL unless it is asked for");
    assert_eq!(
        (all["refused"][1]["command"].as_str(), &all["refused"][1]["tables"][0]),
        (Some("SELECT"), &Value::from("t"))
    );
    let text = proxy.run(&["refused"]).out;
    assert!(text.contains("worker") && text.contains("cron"), "{text}");
}

#[test]
fn the_http_port_tells_and_changes_nothing() {
    let proxy = Proxy::spawn(Postgres::shared());
    for path in ["/livez", "/readyz"] {
        assert!(proxy.http(&format!("GET {path}")).0.contains("200"), "{path}");
    }
    let status: Value = serde_json::from_str(&proxy.http("GET /v1/status").1).unwrap();
    assert_eq!(status["state"], "open");
    for verb in ["/v1/freeze", "/v1/thaw"] {
        assert!(proxy.http(&format!("POST {verb}")).0.contains("404"), "{verb}");
    }
    assert_eq!(proxy.state(), "open");
}

#[test]
fn the_metrics_follow_the_freeze() {
    let server = Postgres::shared();
    let (proxy, database) = (Proxy::spawn(server), server.database());
    assert_eq!(proxy.metric("frostgate_state{state=\"open\"}"), Some(1.0));
    assert_eq!(proxy.metric("frostgate_freeze_started_timestamp_seconds"), None);
    assert_eq!(proxy.run(&["freeze", "--reason", "x", "--until", "1h"]).code, 0);
    proxy.connect(&database).ask("INSERT INTO t VALUES (1)");
    assert_eq!(proxy.metric("frostgate_state{state=\"frozen\"}"), Some(1.0));
    let (since, until) = (
        proxy.metric("frostgate_freeze_started_timestamp_seconds"),
        proxy.metric("frostgate_freeze_until_timestamp_seconds"),
    );
    assert!(until.unwrap() - since.unwrap() > 3500.0);
    let refused = format!(
        "frostgate_statements_refused_total{{application=\"\",class=\"write\",database=\"{database}\",user=\"postgres\"}}"
    );
    assert_eq!(proxy.metric(&refused), Some(1.0));
    assert!(proxy.metric("frostgate_drain_duration_seconds").is_some());
}

#[test]
fn a_control_socket_without_a_proxy_is_exit_5_and_says_what_to_look_at() {
    let ran = run(&["status", "--control", "/nonexistent/control.sock"]);
    assert_eq!(ran.code, 5, "{ran:?}");
    assert!(ran.err.contains("/nonexistent/control.sock") && ran.err.contains("frostgate serve"), "{ran:?}");
}

#[test]
fn wrong_usage_is_exit_2_and_says_what_was_expected() {
    let proxy = Proxy::spawn(Postgres::shared());
    for (arguments, expected) in [
        (&["freeze"][..], "--reason"),
        (&["freeze", "--reason", ""], "a reason is needed"),
        (&["freeze", "--reason", "a\nb"], "control characters"),
        (&["freeze", "--reason", "x", "--until", "soon"], "45m"),
        (&["freeze", "--reason", "x", "--drain-timeout", "30"], "30s"),
        (&["verify", "--for", "2h"], "--for: expected 3600s at most, got 7200s"),
        (&["melt"], "unrecognized subcommand"),
    ] {
        let ran = proxy.run(arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {ran:?}");
        assert!(ran.err.contains(expected), "{arguments:?}: {ran:?}");
    }
    assert_eq!(proxy.state(), "open");
}

#[test]
fn every_fault_of_a_configuration_is_told_at_once_and_is_exit_2() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "listen = 'x'\nthreads = 0\n[refusal]\nsqlstate = 'x'\n").unwrap();
    let path = file.path().to_str().unwrap();
    for arguments in [&["check-config", path][..], &["serve", "--config", path]] {
        let ran = run(arguments);
        assert_eq!(ran.code, 2, "{ran:?}");
        for key in ["listen:", "upstream:", "threads:", "refusal.sqlstate:"] {
            assert!(ran.err.contains(key), "{key}: {ran:?}");
        }
    }
    fs::write(file.path(), "no_such_key = 1\nthreads = 'two'\n[limits]\nno_such_limit = 1\n").unwrap();
    let ran = run(&["check-config", path]);
    assert_eq!(ran.code, 2, "{ran:?}");
    for told in
        ["unknown field `no_such_key`", "invalid type: string \"two\"", "unknown field `no_such_limit`"]
    {
        assert!(ran.err.contains(told), "{told}: {ran:?}");
    }
    fs::write(file.path(), "upstream = 'host=db'\n").unwrap();
    assert_eq!(run(&["check-config", path]).code, 0);
    assert_eq!(run(&["check-config", "/nonexistent"]).code, 2);
}

#[test]
fn explain_tells_the_class_the_verdict_and_why() {
    let ran = run(&["explain", "--json", "WITH x AS (INSERT INTO t VALUES (1) RETURNING a) SELECT * FROM x"]);
    let told = ran.json();
    assert_eq!((told["class"].as_str(), told["verdict"].as_str()), (Some("write"), Some("refuse")));
    assert_eq!((told["command"].as_str(), &told["tables"][0]), (Some("SELECT"), &Value::from("t")));
    let mut child = Command::new(binary())
        .args(["explain", "--jsonl"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let asked = b"{\"id\":7,\"sql\":\"SELECT 1\"}\n\n{\"id\":\"x\",\"sql\":\"DROP TABLE t\"}\nnonsense\n";
    child.stdin.take().unwrap().write_all(asked).unwrap();
    let ran = Ran::of(&child.wait_with_output().unwrap());
    let lines: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines[0]["id"].as_u64(), lines[0]["verdict"].as_str()), (Some(7), Some("pass")));
    assert_eq!((lines[1]["id"].as_str(), lines[1]["class"].as_str()), (Some("x"), Some("ddl")));
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("line 4"), "{ran:?}");
}
