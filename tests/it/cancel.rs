//! A cancel request reaches the session that its key names, and no other.

use crate::support::{Postgres, Proxy, Wire, eventually, short};
use frostgate::wire::startup::CancelKey;

fn sleeping(proxy: &Proxy, database: &str) -> Wire {
    let mut client = proxy.connect(database);
    client.say(|out| {
        out.query("SELECT pg_sleep(60)");
    });
    client
}

fn request(proxy: &Proxy, key: &CancelKey) {
    let mut wire = Wire::open(proxy.port);
    wire.send(&key.request());
    assert_eq!(wire.next(), None, "a cancel request is answered by silence");
}

#[test]
fn the_right_one_of_many_is_cancelled() {
    let server = Postgres::shared();
    let (proxy, database) = (Proxy::open(), server.database());
    let mut clients: Vec<Wire> = (0..10).map(|_| sleeping(&proxy, &database)).collect();
    let active = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND state = 'active' AND query LIKE '%pg_sleep%'"
    );
    eventually("all sleep", || (server.sql("postgres", &active) == "10").then_some(()));
    request(&proxy, clients[6].key.as_ref().unwrap());
    assert_eq!(short(&clients[6].until('Z')), "TE57014 I");
    assert_eq!(server.sql("postgres", &active), "9");
    assert_eq!(clients[6].ask("SELECT 1"), "TDC I");
}

#[test]
fn a_wrong_key_cancels_nothing() {
    let server = Postgres::shared();
    let (proxy, database) = (Proxy::open(), server.database());
    let mut client = proxy.connect(&database);
    client.say(|out| {
        out.query("SELECT pg_sleep(0.5)");
    });
    let right = client.key.clone().unwrap();
    for secret in [[0_u8, 1, 2, 3].into(), vec![0; 32].into_boxed_slice()] {
        request(&proxy, &CancelKey { process_id: right.process_id, secret });
    }
    assert_eq!(short(&client.until('Z')), "TDC I");
}

#[test]
fn psql_is_interrupted_through_the_proxy() {
    let server = Postgres::shared();
    let (proxy, database) = (Proxy::open(), server.database());
    let child = std::process::Command::new("psql")
        .args(["-X", "-h", "127.0.0.1", "-U", "postgres", "-p", &proxy.port.to_string(), "-d", &database])
        .args(["-c", "SELECT pg_sleep(60)"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let active = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND state = 'active' AND query LIKE '%pg_sleep%'"
    );
    eventually("it sleeps", || (server.sql("postgres", &active) == "1").then_some(()));
    std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("canceling statement due to user request"));
}
