//! The server goes away under a frozen proxy, and comes back.

use crate::support::{Postgres, Proxy, eventually};

#[test]
fn a_server_that_restarts_under_a_frozen_proxy_comes_back_frozen() {
    let server = Postgres::start();
    let database = server.database();
    let proxy = Proxy::spawn(&server);
    let mut client = proxy.connect(&database);
    client.ask("SELECT 1");
    proxy.freeze();
    server.down();
    while client.next().is_some() {}
    let away = proxy.psql(&database, &["-c", "SELECT 1"]);
    assert!(away.err.contains("can't connect to the server") && away.err.contains(": test."), "{away:?}");
    assert_eq!(proxy.state(), "frozen");
    server.up();
    let mut client = proxy.connect(&database);
    assert_eq!(client.ask("SELECT 1"), "TDC I");
    assert_eq!(client.ask("INSERT INTO t VALUES (1)"), "E25006 I");
    proxy.thaw();
    assert_eq!(client.ask("INSERT INTO t VALUES (1)"), "C I");
}

#[test]
fn a_drain_is_over_when_the_server_that_held_it_up_has_gone() {
    let server = Postgres::start();
    let database = server.database();
    let proxy = Proxy::spawn(&server);
    let mut writer = proxy.connect(&database);
    writer.ask("BEGIN; INSERT INTO t VALUES (1)");
    proxy.shut();
    assert_eq!(proxy.state(), "draining");
    server.down();
    eventually("frozen", || (proxy.state() == "frozen").then_some(()));
}
