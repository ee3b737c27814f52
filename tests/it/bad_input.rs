//! What breaks the rules gets a clear error or a closed connection, and hurts nobody else.

use crate::support::{Postgres, Proxy, Wire, free_port, message, upstream};
use std::{io::Read as _, time::Duration};

fn open() -> (Proxy, String) {
    let server = Postgres::shared();
    (Proxy::spawn(server), server.database())
}

/// Reads to the end of the connection; the last error's code and text.
fn last_words(wire: &mut Wire) -> String {
    let mut told = String::new();
    while let Some(message) = wire.next() {
        if message.tag == 'E' {
            told = message.told();
        }
    }
    told
}

#[test]
fn garbage_at_the_start_is_named_and_the_connection_closed() {
    let (proxy, database) = open();
    let mut long = vec![0, 0, 0x27, 0x11];
    long.extend_from_slice(&[0; 16]);
    for (bytes, expected) in [
        (&b"GET / HTTP/1.0\r\n\r\n"[..], "08P01 invalid length of startup packet"),
        (&[0, 0, 0, 8, 0, 2, 0, 0], "08P01 unsupported frontend protocol 2.0"),
        (&[0, 0, 0, 9, 0, 3, 0, 0, 0], "08P01 no PostgreSQL user name"),
        (b"\0\0\0\x10\0\x03\0\0user\0a\0b", "08P01 invalid startup packet layout"),
        (&long, "08P01 invalid length of startup packet"),
        (&[0x80, 0, 0, 0, 0, 3, 0, 0], "08P01 invalid length of startup packet"),
    ] {
        let mut wire = Wire::open(proxy.port);
        wire.send(bytes);
        let told = last_words(&mut wire);
        assert!(told.starts_with(expected), "{expected}: {told}");
    }
    assert_eq!(proxy.connect(&database).ask("SELECT 1"), "TDC I");
}

#[test]
fn broken_messages_in_a_session_end_it_as_the_server_would() {
    let (proxy, database) = open();
    for frozen in [false, true] {
        if frozen {
            proxy.freeze();
        }
        for (bytes, expected) in [
            (&message(b'@', b"abc")[..], "08P01 invalid frontend message type 64"),
            (&message(b'p', b"secret\0"), "08P01 invalid frontend message type 112"),
            (b"Q\0\0\0\x02", "08P01 invalid message length"),
            (b"Q\xff\xff\xff\xff", "08P01 invalid message length"),
            (b"S\0\0\x27\x11", "08P01 invalid message length"),
        ] {
            let mut client = proxy.connect(&database);
            client.send(bytes);
            let told = last_words(&mut client);
            assert!(told.starts_with(expected), "{expected}: {told}");
        }
    }
}

#[test]
fn malformed_bodies_are_the_servers_to_reject_and_never_pass_while_frozen() {
    let (proxy, database) = open();
    let server = Postgres::shared();
    for frozen in [false, true] {
        if frozen {
            proxy.freeze();
        }
        for body in [
            message(b'Q', b"SELECT 1"),
            message(b'Q', b"SELECT 1\0; INSERT INTO t VALUES (1)\0"),
            message(b'P', b"s"),
            message(b'B', b"a"),
            message(b'E', b"x"),
            message(b'F', b"\0"),
        ] {
            let mut client = proxy.connect(&database);
            client.send(&body);
            client.say(|out| {
                out.sync();
            });
            let errors: Vec<String> =
                client.until('Z').iter().filter(|m| m.tag == 'E').map(|m| m.field(b'C')).collect();
            assert_eq!(errors.len(), 1, "{body:?}");
            assert!(
                ["08P01", "25006", "22021", "26000", "34000"].contains(&errors[0].as_str()),
                "{body:?}: {errors:?}"
            );
        }
    }
    assert_eq!(server.rows(&database), 0);
}

#[test]
fn half_open_connections_hurt_nobody_and_have_a_time_limit() {
    let server = Postgres::shared();
    let database = server.database();
    let config = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(config.path(), "[limits]\nlogin_timeout_ms = 700\n").unwrap();
    let proxy = Proxy::with(&upstream(server), &["--config", config.path().to_str().unwrap()]);
    let mut half_open: Vec<Wire> = (0..1000).map(|_| Wire::open(proxy.port)).collect();
    assert_eq!(proxy.connect(&database).ask("SELECT 1"), "TDC I");
    // One byte at a time does not make the limit longer.
    let mut slow = Wire::open(proxy.port);
    for byte in [0, 0, 0, 20] {
        slow.send(&[byte]);
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(last_words(&mut slow).contains("took longer than 700 ms"));
    for wire in &mut half_open {
        assert!(last_words(wire).contains("took longer than 700 ms"));
    }
    assert!(proxy.memory_kib() < 128 * 1024, "{} KiB", proxy.memory_kib());
}

#[test]
fn too_many_connections_are_told_so() {
    let server = Postgres::shared();
    let config = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(config.path(), "[limits]\nmax_connections = 2\n").unwrap();
    let proxy = Proxy::with(&upstream(server), &["--config", config.path().to_str().unwrap()]);
    let (one, _two) = (proxy.connect("postgres"), proxy.connect("postgres"));
    let mut third = Wire::open(proxy.port);
    assert!(last_words(&mut third).starts_with("53300 "));
    drop(one);
    crate::support::eventually("a place is free", || {
        let mut wire = Wire::open(proxy.port);
        wire.send(&[0, 0, 0, 8, 4, 210, 22, 47]);
        let mut answer = [0; 1];
        (wire.stream.read_exact(&mut answer).is_ok() && answer == *b"N").then_some(())
    });
}

#[test]
fn asking_for_encryption_over_and_over_ends() {
    let (proxy, _) = open();
    let mut wire = Wire::open(proxy.port);
    let ask = |wire: &mut Wire, code: u8| {
        wire.send(&[0, 0, 0, 8, 4, 210, 22, code]);
        let mut answer = [0; 1];
        wire.stream.read_exact(&mut answer).unwrap();
        answer[0]
    };
    assert_eq!(ask(&mut wire, 48), b'N');
    assert_eq!(ask(&mut wire, 47), b'N');
    assert_eq!(ask(&mut wire, 47), b'E');
}

#[test]
fn a_server_that_is_away_is_named_and_the_proxy_stays_up() {
    let port = free_port();
    let proxy = Proxy::with(&format!("host=127.0.0.1 port={port}"), &[]);
    let told = proxy.psql("postgres", &["-c", "SELECT 1"]);
    assert!(told.err.contains(&format!("can't connect to the server 127.0.0.1:{port}")), "{told:?}");
    proxy.freeze();
    let mut wire = Wire::open(proxy.port);
    wire.send(&frostgate::wire::startup::StartupMessage::new(&[("user", "postgres")]).encode());
    let error = wire.next().unwrap();
    assert_eq!(error.field(b'C'), "57P03");
    assert!(error.field(b'D').contains(": test."), "{error:?}");
    assert!(proxy.http("GET /readyz").0.contains("200"));
    crate::support::eventually("it is seen", || {
        (proxy.metric("frostgate_upstream_up{upstream=\"main\"}") == Some(0.0)).then_some(())
    });
}

#[test]
fn what_the_server_says_to_a_login_reaches_the_client_unchanged() {
    let proxy = Proxy::spawn(Postgres::trusting());
    let unknown = proxy.psql("no_such_database", &["-c", "SELECT 1"]);
    assert!(unknown.err.contains("database \"no_such_database\" does not exist"), "{unknown:?}");
    let mut wire = Wire::open(proxy.port);
    let login = [("user", "postgres"), ("database", "postgres"), ("options", "-c nosuch=1")];
    wire.send(&frostgate::wire::startup::StartupMessage::new(&login).encode());
    assert!(last_words(&mut wire).contains("unrecognized configuration parameter"));
}
