//! `SHOW frostgate.state` and its kin on ordinary connections: what an application asks to draw a banner.

use crate::support::{Message, Postgres, Proxy, Wire, eventually, message, short};

/// Column, row and tag of an answer.
fn told(answer: &[Message]) -> String {
    let words = answer.iter().filter(|m| "TDC".contains(m.tag)).map(|m| match m.tag {
        'T' => {
            let name: Vec<u8> = m.body[2..].iter().copied().take_while(|byte| *byte != 0).collect();
            String::from_utf8(name).unwrap()
        }
        _ => m.told(),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn an_application_is_told_the_state_and_the_server_hears_nothing_of_it() {
    let server = Postgres::shared();
    let (proxy, database) = (Proxy::spawn(server), server.database());
    let mut client = proxy.connect(&database);
    let pid = client.value("SELECT pg_backend_pid()");
    assert_eq!(short(&client.query("SHOW frostgate.state")), "TDC I");
    assert_eq!(told(&client.query("show Frostgate.STATE;")), "frostgate.state open SHOW");
    assert_eq!(told(&client.query("SHOW frostgate.epoch")), "frostgate.epoch 0 SHOW");
    assert_eq!(told(&client.query("SHOW frostgate.reason")), "frostgate.reason  SHOW");

    let mut writer = proxy.connect(&database);
    assert_eq!(writer.ask("BEGIN; INSERT INTO t VALUES (1)"), "CC T");
    let ran = proxy.run(&["freeze", "--reason", "storage move", "--until", "45m", "--no-wait"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(client.value("SHOW frostgate.state"), "draining");
    assert_eq!(writer.value("SHOW frostgate.state"), "draining", "in a transaction that writes, too");
    assert_eq!(writer.ask("COMMIT"), "C I");
    proxy.is_eventually("frozen");
    assert_eq!(client.value("SHOW frostgate.state"), "frozen");
    assert_eq!(client.value("SHOW frostgate.reason"), "storage move");
    let status = proxy.status();
    let until = client.value("SHOW frostgate.until");
    assert!(status["until"].as_str().unwrap().starts_with(until.trim_end_matches('Z')), "{until} {status}");
    assert_eq!(client.value("SHOW frostgate.epoch"), status["epoch"].to_string());
    let last = server.sql("postgres", &format!("SELECT query FROM pg_stat_activity WHERE pid = {pid}"));
    assert!(!last.contains("SHOW"), "{last}");
    proxy.thaw();
    assert_eq!(client.value("SHOW frostgate.state"), "open");
    assert_eq!(client.value("SHOW frostgate.until"), "");
}

#[test]
fn it_is_told_in_the_extended_protocol_with_its_column_and_in_its_place() {
    let server = Postgres::shared();
    let (proxy, database) = (Proxy::spawn(server), server.database());
    let mut client = proxy.connect(&database);
    client.say(|out| {
        out.parse("banner", "SHOW frostgate.state");
    });
    client.send(&[message(b'D', b"Sbanner\0"), message(b'S', b"")].concat());
    let described = client.until('Z');
    assert_eq!((short(&described).as_str(), told(&described).as_str()), ("1tT I", "frostgate.state"));
    let run = |client: &mut Wire| {
        client.say(|out| {
            out.bind("p", "banner");
        });
        client.send(&message(b'D', b"Pp\0"));
        client.say(|out| {
            out.execute("p").sync();
        });
        let answer = client.until('Z');
        assert_eq!(short(&answer), "2TDC I");
        told(&answer)
    };
    assert_eq!(run(&mut client), "frostgate.state open SHOW");
    proxy.freeze();
    assert_eq!(run(&mut client), "frostgate.state frozen SHOW", "prepared once, told anew each time");
    assert_eq!(client.extended("SHOW frostgate.reason"), "12DC I");

    // In one batch between others, and in a pipeline: the order is the client's.
    client.say(|out| {
        out.parse("", "SELECT 'before'").bind("", "").execute("");
        out.bind("", "banner").execute("");
        out.parse("", "SELECT 'behind'").bind("", "").execute("").sync();
        out.query("SELECT 'between'").query("SHOW frostgate.state").query("SELECT 'last'");
    });
    let mut rows = Vec::new();
    for _ in 0..4 {
        rows.extend(client.until('Z').iter().filter(|m| m.tag == 'D').map(Message::told));
    }
    assert_eq!(rows, ["before", "frozen", "behind", "between", "frozen", "last"]);
    // A frozen gate refuses what writes behind it all the same.
    assert_eq!(client.extended("INSERT INTO t VALUES (1)"), "1E25006 I");
}

#[test]
fn in_a_transaction_it_is_told_and_in_a_failed_one_it_is_refused_as_the_server_does() {
    let server = Postgres::shared();
    let (proxy, database) = (Proxy::spawn(server), server.database());
    let mut client = proxy.connect(&database);
    assert_eq!(client.ask("BEGIN"), "C T");
    assert_eq!(client.ask("SHOW frostgate.state"), "TDC T");
    // It takes no snapshot: the isolation level can still be set.
    assert_eq!(client.extended("SHOW frostgate.state"), "12DC T");
    assert_eq!(client.ask("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"), "C T");
    assert_eq!(client.ask("SELECT 1/0"), "E22012 E");
    assert_eq!(client.ask("SHOW frostgate.state"), "E25P02 E");
    assert_eq!(client.extended("SHOW frostgate.state"), "E25P02 E");
    assert_eq!(client.ask("ROLLBACK"), "C I");
    assert_eq!(client.ask("SHOW frostgate.state"), "TDC I");
    // Only alone: in a longer text it is the server's to answer, which knows no such setting.
    assert_eq!(client.ask("SELECT 1; SHOW frostgate.state"), "TDCE42704 I");
    assert_eq!(client.ask("SHOW frostgate.nothing"), "E42704 I");
}

#[test]
fn whom_the_freeze_does_not_reach_is_told_that_it_is_open() {
    let server = Postgres::shared();
    let proxy = Proxy::spawn(server);
    let (shop, other) = (server.database(), server.database());
    let (mut reached, mut spared) = (proxy.connect(&shop), proxy.connect(&other));
    let ran = proxy.run(&["freeze", "--reason", "reindex", "--database", &shop]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(reached.value("SHOW frostgate.state"), "frozen");
    assert_eq!(spared.value("SHOW frostgate.state"), "open");
    assert_eq!(spared.value("SHOW frostgate.reason"), "");
    let widened = proxy.run(&["freeze", "--reason", "all"]);
    assert_eq!(widened.code, 0, "{widened:?}");
    eventually("the wider freeze", || (spared.value("SHOW frostgate.state") == "frozen").then_some(()));
}

#[test]
fn while_the_sessions_of_an_exception_that_ended_are_drained_for_nobody_is_told_that_it_is_frozen() {
    let server = Postgres::shared();
    let (proxy, database) = (Proxy::spawn(server), server.database());
    let (mut late, mut reader) = (proxy.connect(&database), proxy.connect(&database));
    assert_eq!(late.ask("SET application_name = 'late'"), "CS I");
    let added = proxy.run(&["except", "add", "--application", "late", "--reason", "late import"]);
    assert_eq!(added.code, 0, "{added:?}");
    proxy.freeze();
    assert_eq!(reader.value("SHOW frostgate.state"), "frozen");
    assert_eq!(late.value("SHOW frostgate.state"), "open");
    assert_eq!(late.ask("BEGIN; INSERT INTO t VALUES (1)"), "CC T");
    let removed = proxy.run(&["except", "remove", "e1"]);
    assert_eq!(removed.code, 0, "{removed:?}");
    assert_eq!(proxy.state(), "draining");
    assert_eq!(reader.value("SHOW frostgate.state"), "draining");
    assert_eq!(late.ask("COMMIT"), "C I");
    proxy.is_eventually("frozen");
    assert_eq!(reader.value("SHOW frostgate.state"), "frozen");
}
