//! Start-up: versions and options are negotiated by the server itself, hosts are tried in their order, and silent
//! connections are looked after.

use crate::support::{Message, Postgres, Proxy, Wire, eventually, free_port, short};
use frostgate::wire::startup::StartupMessage;
use std::fs;

/// How many sessions of that kind sleep. What the proxy asks first by itself is no sleep.
fn sleeps(which: &str) -> String {
    format!(
        "SELECT count(*) FROM pg_stat_activity WHERE {which} AND state = 'active' AND query LIKE 'SELECT pg_sleep%'"
    )
}

fn newer(parameters: &[(&str, &str)]) -> StartupMessage {
    let mut message = StartupMessage::new(&[&[("user", "postgres")], parameters].concat());
    message.minor = 2;
    message
}

/// What comes of a login up to its end, but for what is another one each time.
fn answers(port: u16, message: &StartupMessage) -> (Wire, Vec<Message>) {
    let mut wire = Wire::open(port);
    let mut messages = wire.log_in_with(message);
    // A key, and what a server asks for a password with.
    messages.retain(|message| message.tag != 'K' && message.tag != 'R');
    (wire, messages)
}

#[test]
fn a_newer_minor_and_an_unknown_option_are_negotiated_by_the_server() {
    let server = Postgres::shared();
    let proxy = Proxy::open();
    for options in [&[][..], &[("_pq_.nonsense", "1")], &[("_pq_.a", ""), ("_pq_.b", "x")]] {
        let message = newer(options);
        let through = answers(proxy.port, &message).1;
        assert_eq!(through, answers(server.port, &message).1, "{options:?}");
        assert!(options.is_empty() || through.iter().any(|message| message.tag == 'v'));
    }
}

#[test]
fn a_key_of_the_length_that_the_server_gives_cancels() {
    let server = Postgres::shared();
    let proxy = Proxy::open();
    let key_of = |port| {
        let mut wire = Wire::open(port);
        wire.log_in_with(&newer(&[]));
        let key = wire.key.clone().unwrap();
        (wire, key)
    };
    let (mut wire, key) = key_of(proxy.port);
    assert_eq!(key.secret.len(), key_of(server.port).1.secret.len());
    wire.say(|out| {
        out.query("SELECT pg_sleep(60)");
    });
    let active = sleeps(&format!("pid = {}", key.process_id));
    eventually("it sleeps", || (server.sql("postgres", &active) == "1").then_some(()));
    Wire::open(proxy.port).send(&key.request());
    assert_eq!(short(&wire.until('Z')), "TE57014 I");
}

#[test]
fn hosts_are_tried_in_their_order_and_a_cancel_goes_where_its_session_went() {
    let server = Postgres::shared();
    let upstream = format!("host=127.0.0.1,localhost port={},{}", free_port(), server.port);
    let proxy = Proxy::with(&upstream, &[]);
    let mut wire = proxy.connect("postgres");
    wire.say(|out| {
        out.query("SELECT pg_sleep(60)");
    });
    let key = wire.key.clone().unwrap();
    let active = sleeps(&format!("pid = {}", key.process_id));
    eventually("it sleeps", || (server.sql("postgres", &active) == "1").then_some(()));
    Wire::open(proxy.port).send(&key.request());
    assert_eq!(short(&wire.until('Z')), "TE57014 I");
    let nowhere = Proxy::with(&format!("host=127.0.0.1,nowhere.invalid port={}", free_port()), &[]);
    let told = nowhere.psql("postgres", &["-c", "SELECT 1"]);
    assert!(told.err.contains("127.0.0.1:") && told.err.contains("nowhere.invalid:"), "{told:?}");
}

#[test]
fn a_silent_connection_is_asked_for_a_sign_of_life_on_both_legs() {
    let server = Postgres::shared();
    let proxy = Proxy::spawn(server);
    let wire = proxy.connect("postgres");
    let client = wire.stream.local_addr().unwrap().port();
    // proc(5): local address, remote address, state, queues, and `02:` for the timer of keepalive.
    let has_timer = |what: &str, local: Option<u16>, remote: u16| {
        eventually(what, || {
            let table = fs::read_to_string("/proc/net/tcp").unwrap();
            let ends_with = |address: &str, port: u16| address.ends_with(&format!(":{port:04X}"));
            let found = table.lines().skip(1).any(|line| {
                let words: Vec<&str> = line.split_whitespace().collect();
                local.is_none_or(|port| ends_with(words[1], port))
                    && ends_with(words[2], remote)
                    && words[5].starts_with("02:")
            });
            found.then_some(())
        });
    };
    has_timer("the client's leg", Some(proxy.port), client);
    has_timer("the server's leg", None, server.port);
}
