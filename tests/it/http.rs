//! What the HTTP port tells programs: sessions, exceptions and past windows. It only tells.

use crate::support::{Postgres, Proxy, eventually};
use serde_json::Value;
use std::net::TcpStream;

fn told(proxy: &Proxy, path: &str) -> Value {
    let (status, body) = proxy.http(&format!("GET {path}"));
    assert!(status.contains(" 200 "), "{status}: {body}");
    serde_json::from_str(&body).unwrap()
}

#[test]
fn the_http_port_tells_who_is_there_and_who_may_write_first() {
    let server = Postgres::shared();
    let (proxy, database) = (Proxy::spawn(server), server.database());
    let mut idle = proxy.connect(&database);
    assert_eq!(idle.ask("SET application_name = 'idle'"), "CS I");
    let mut writer = proxy.connect(&database);
    assert_eq!(writer.ask("BEGIN; INSERT INTO t VALUES (1)"), "CC T");
    proxy.shut();
    let sessions = eventually("the writer's standing", || {
        let told = told(&proxy, "/v1/sessions");
        (told["sessions"][0]["standing"] == "writing").then_some(told)
    });
    assert_eq!(sessions["total"], 2, "{sessions}");
    let (first, second) = (&sessions["sessions"][0], &sessions["sessions"][1]);
    assert_eq!((&first["in_transaction"], &first["entrance"]), (&true.into(), &"ordinary".into()), "{first}");
    assert!(first["client"].as_str().unwrap().starts_with("127.0.0.1:"), "{first}");
    assert_eq!(first["upstream"], "main", "{first}");
    assert!(first["pid"].as_u64().unwrap() > 0, "{first}");
    assert_eq!((&second["application"], &second["standing"]), (&"idle".into(), &"quiet".into()), "{second}");
    assert_eq!(writer.ask("COMMIT"), "C I");
}

#[test]
fn the_http_port_tells_exceptions_and_windows_and_changes_nothing() {
    let proxy = Proxy::spawn(Postgres::shared());
    assert_eq!(told(&proxy, "/v1/windows")["windows"], Value::Array(Vec::new()));
    let added = proxy.run(&["except", "add", "--user", "backup", "--reason", "its catalog"]);
    assert_eq!(added.code, 0, "{added:?}");
    let exceptions = told(&proxy, "/v1/exceptions");
    assert_eq!(exceptions["exceptions"][0]["reason"], "its catalog", "{exceptions}");
    for reason in ["first", "second"] {
        assert_eq!(proxy.run(&["freeze", "--reason", reason]).code, 0);
        let windows = told(&proxy, "/v1/windows");
        assert_eq!(windows["windows"][0]["reason"], reason, "{windows}");
        assert_eq!(windows["windows"][0]["ended_at"], Value::Null, "{windows}");
        proxy.thaw();
    }
    let windows = told(&proxy, "/v1/windows");
    assert_eq!(
        (&windows["total"], &windows["windows"][0]["number"], &windows["windows"][1]["reason"]),
        (&2.into(), &3.into(), &"first".into()),
        "{windows}"
    );
    assert!(windows["windows"][0]["ended_at"].is_string(), "{windows}");
    for verb in ["except", "unexcept", "freeze", "thaw"] {
        let (status, _) = proxy.http(&format!("POST /v1/{verb}"));
        assert!(status.contains(" 404 "), "{verb}: {status}");
    }
}

#[test]
fn silent_connections_to_the_http_port_take_no_more_descriptors_than_it_may_hold() {
    let server = Postgres::shared();
    let (proxy, database) = (Proxy::spawn(server), server.database());
    let before = proxy.descriptors();
    let silent: Vec<TcpStream> =
        (0..100).map(|_| TcpStream::connect(("127.0.0.1", proxy.http)).unwrap()).collect();
    // The control socket has places of its own, and sessions have theirs.
    eventually("as many as it may hold", || (proxy.descriptors() >= before + 64).then_some(()));
    assert_eq!(proxy.connect(&database).ask("SELECT 1"), "TDC I");
    assert_eq!(proxy.state(), "open");
    assert!(proxy.descriptors() < before + 80, "{}", proxy.descriptors());
    drop(silent);
    assert_eq!(told(&proxy, "/v1/status")["state"], "open");
}
