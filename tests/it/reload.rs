//! SIGHUP: what of the configuration can change while the proxy runs, and what becomes of those whom it is about.

use crate::{
    exceptions::{configured, named},
    support::{Postgres, Proxy, eventually, message},
};
use serde_json::Value;
use std::fs;

const INSERT: &str = "INSERT INTO t VALUES (1)";
const IMPORT: &str = "[[exceptions]]\nname = 'import'\napplication = 'import'\nreason = 'late'\n";

/// Another text in the file, and SIGHUP; what is told of it.
fn reloaded(proxy: &Proxy, text: &str) -> Value {
    let told = || -> Vec<Value> {
        proxy.audit("reloaded").into_iter().filter(|line| line["what"] == "configuration").collect()
    };
    let before = told().len();
    fs::write(proxy.folder.path().join("frostgate.toml"), text).unwrap();
    proxy.signal("HUP");
    eventually("the reload", || told().get(before).cloned())
}

fn names(proxy: &Proxy) -> Vec<String> {
    let all = proxy.run(&["exceptions", "--json"]).json();
    let all = all["exceptions"].as_array().unwrap().iter();
    all.map(|told| told["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_exception_that_the_file_has_no_more_ends_for_open_sessions_once_what_they_wrote_has_ended() {
    let proxy = configured(IMPORT);
    let database = Postgres::shared().database();
    let (mut idle, mut busy) = (named(&proxy, &database, "import"), named(&proxy, &database, "import"));
    proxy.freeze();
    assert_eq!((idle.ask(INSERT).as_str(), busy.ask("BEGIN").as_str()), ("C I", "C T"));
    assert_eq!(busy.ask(INSERT), "C T");

    assert_eq!(reloaded(&proxy, "")["problem"], Value::Null);
    assert_eq!(idle.ask(INSERT), "E25006 I");
    assert_eq!(proxy.state(), "draining", "a transaction of it wrote and has not ended");
    assert_eq!(proxy.audit("reconfigured")[0]["gone_rules"][0]["name"], "import");
    assert_eq!(busy.ask("COMMIT"), "C I");
    proxy.is_eventually("frozen");
    assert_eq!(busy.ask(INSERT), "E25006 I");
    assert_eq!(names(&proxy), [""; 0]);
}

#[test]
fn a_freeze_that_was_to_end_if_it_was_late_stays_when_it_is_drained_for_again() {
    let proxy = configured(IMPORT);
    let database = Postgres::shared().database();
    let mut busy = named(&proxy, &database, "import");
    let ran = proxy.run(&["freeze", "--reason", "x", "--drain-timeout", "100ms", "--on-timeout", "thaw"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    busy.ask("BEGIN");
    assert_eq!(busy.ask(INSERT), "C T");
    reloaded(&proxy, "");
    eventually("the drain time is over", || proxy.audit("drain_timeout").pop());
    assert_eq!(proxy.connect(&database).ask(INSERT), "E25006 I");
    assert_eq!(busy.ask("COMMIT"), "C I");
    proxy.is_eventually("frozen");
    assert!(proxy.audit("thaw").is_empty(), "nobody has thawed");
}

#[test]
fn an_exception_and_a_denial_that_are_new_in_the_file_hold_at_once_for_open_sessions() {
    let proxy = configured("");
    let database = Postgres::shared().database();
    let (mut import, mut queue) = (named(&proxy, &database, "import"), named(&proxy, &database, "que 1"));
    proxy.freeze();
    assert_eq!(import.ask(INSERT), "E25006 I");
    assert_eq!(queue.ask("SELECT 1"), "TDC I");
    let text = format!("{IMPORT}[[deny]]\nname = 'que'\napplication = 'que*'\nreason = 'twice'\n");
    assert_eq!(reloaded(&proxy, &text)["problem"], Value::Null);
    assert_eq!(import.ask(INSERT), "C I");
    assert!(queue.until('E').pop().unwrap().told().starts_with("57P01"));
    assert_eq!(names(&proxy), ["import", "que"]);
    proxy.is_eventually("frozen");

    // What was made of a rule that stays is not forgotten.
    let used = |name: &str| {
        let all = proxy.run(&["exceptions", "--json"]).json();
        let all = all["exceptions"].as_array().unwrap().clone();
        all.iter().find(|told| told["name"] == name).unwrap()["writes"].clone()
    };
    let before = used("import");
    assert_eq!(reloaded(&proxy, IMPORT)["problem"], Value::Null);
    assert_eq!((used("import"), names(&proxy).len()), (before, 1));
    let mut queue = named(&proxy, &database, "que 2");
    queue.send(&message(b'Q', b"SELECT 1\0"));
    assert_eq!(queue.until('Z').pop().unwrap().told(), "I", "nobody is denied any more");
}

#[test]
fn a_file_that_is_no_good_changes_nothing_and_says_why() {
    let proxy = configured(IMPORT);
    let database = Postgres::shared().database();
    let mut import = named(&proxy, &database, "import");
    proxy.freeze();
    let stage = "[[reopen]]\nname = 'all'\n";
    for (text, why) in [
        ("exeptions = []", "exeptions"),
        ("[[exceptions]]\nname = 'a'\nreason = 'x'\n", "exceptions.a: at least one of user"),
        ("threads = 0\n[[deny]]\nname = 'a'\nuser = '*'\nreason = 'x'\n", "threads: expected"),
        ("[[reopen]]\nname = 'a'\nuser = 'b*c'\n", "reopen.a"),
    ] {
        let told = reloaded(&proxy, &format!("{text}{stage}"));
        assert!(told["problem"].as_str().unwrap().contains(why), "{text}: {told}");
        assert_eq!((names(&proxy), import.ask(INSERT)), (vec!["import".to_owned()], "C I".into()), "{text}");
    }
    assert_eq!(proxy.run(&["reopen"]).code, 2, "no stage of theirs was taken over");
    assert!(proxy.log().contains("what was there before stays"), "{}", proxy.log());
    assert_eq!(proxy.state(), "frozen");

    fs::remove_file(proxy.folder.path().join("frostgate.toml")).unwrap();
    proxy.signal("HUP");
    eventually("a file that is gone is told", || {
        proxy.audit("reloaded").iter().any(|l| l["problem"].to_string().contains("can't read")).then_some(())
    });
    assert_eq!(import.ask(INSERT), "C I");
}

#[test]
fn a_rule_of_the_file_can_not_take_the_name_of_an_operators() {
    let proxy = configured("");
    proxy.freeze();
    let add = ["except", "add", "--name", "import", "--user", "a", "--reason", "x"];
    assert_eq!(proxy.run(&add).code, 0);
    let told = reloaded(&proxy, IMPORT);
    assert!(told["problem"].as_str().unwrap().contains("a rule called \"import\" already"), "{told}");
    assert_eq!(proxy.run(&["exceptions", "--json"]).json()["exceptions"][0]["is_configured"], false);
}

#[test]
fn stages_are_read_again_and_what_needs_a_restart_is_named() {
    let proxy = configured("");
    let database = Postgres::shared().database();
    let mut client = named(&proxy, &database, "web");
    proxy.freeze();
    assert_eq!(proxy.run(&["reopen"]).code, 2);
    let text = "threads = 7\n[limits]\nmax_connections = 5\n[[reopen]]\nname = 'all'\ndwell_ms = 1\n";
    assert_eq!(reloaded(&proxy, text)["problem"], Value::Null);
    let restart = eventually("the keys", || proxy.audit("restart_needed").pop());
    assert_eq!(restart["keys"], serde_json::json!(["threads", "limits"]));
    assert_eq!(proxy.run(&["reopen"]).code, 0);
    assert_eq!(client.ask(INSERT), "C I");
    assert_eq!(proxy.audit("reconfigured")[0]["stages"], serde_json::json!(["all"]));
    assert_eq!(reloaded(&proxy, text)["problem"], Value::Null);
    assert_eq!(proxy.audit("reconfigured").len(), 1, "what is the same is not told again");
}
