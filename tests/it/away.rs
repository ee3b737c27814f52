//! The server goes away under a frozen proxy, and comes back.

use crate::support::{Postgres, Proxy, eventually, upstream};

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

#[test]
fn another_server_in_the_place_of_the_frozen_one_needs_a_thaw_that_accepts_it() {
    for is_monitored in [false, true] {
        let server = Postgres::start();
        let port = server.port;
        let monitor = format!("host=127.0.0.1 port={port} user=postgres");
        let more = if is_monitored { &["--monitor", &monitor][..] } else { &[] };
        let proxy = Proxy::with(&upstream(&server), more);
        let mut client = proxy.connect("postgres");
        client.ask("SELECT 1");
        let before = eventually("it is known", || proxy.status()["server"].as_str().map(str::to_owned));
        proxy.freeze();
        drop(server);
        while client.next().is_some() {}
        let server = Postgres::start_on(port);
        if is_monitored {
            proxy.run(&["verify", "--for", "0s"]);
        } else {
            // Somebody must be logged in to ask.
            client = proxy.connect("postgres");
            client.ask("SELECT 1");
        }
        let status = eventually("it is another one", || {
            Some(proxy.status()).filter(|status| status["server_at_freeze"] == before.as_str())
        });
        assert_ne!(status["server"], before.as_str());
        assert!(proxy.run(&["status"]).out.contains("ANOTHER ONE"));
        assert_eq!(proxy.metric("frostgate_server_changed"), Some(1.0));
        let ran = proxy.run(&["thaw"]);
        assert_eq!(ran.code, 4, "{ran:?}");
        assert!(ran.err.contains("--accept-new-server") && ran.err.contains(&before), "{ran:?}");
        proxy.signal("USR2");
        assert_eq!(proxy.state(), "frozen", "a signal accepts nothing");
        let ran = proxy.run(&["thaw", "--accept-new-server"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        drop(server);
    }
}

#[test]
fn the_frozen_servers_identity_outlives_the_proxy() {
    let server = Postgres::start();
    let port = server.port;
    let monitor = format!("host=127.0.0.1 port={port} user=postgres");
    let proxy = Proxy::with(&upstream(&server), &["--monitor", &monitor]);
    proxy.freeze();
    eventually("it is known", || proxy.status()["server"].as_str().map(str::to_owned));
    proxy.signal("KILL");
    let folder = proxy.ended();
    drop(server);
    let server = Postgres::start_on(port);
    let proxy = Proxy::in_folder(folder, &upstream(&server), &["--monitor", &monitor]);
    eventually("it is another one", || proxy.status()["server_at_freeze"].as_str().map(str::to_owned));
    assert_eq!(proxy.run(&["thaw"]).code, 4);
}
