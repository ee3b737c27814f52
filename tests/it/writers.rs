//! Who writes: known while open, by name and shape, whatever protocol and values they use.

use crate::support::{Postgres, Proxy, eventually};
use serde_json::Value;

fn writers(proxy: &Proxy, arguments: &[&str]) -> Vec<Value> {
    let told = proxy.run(&[&["writers", "--json"], arguments].concat()).json();
    told["writers"].as_array().unwrap().clone()
}

fn count(writer: &Value) -> u64 {
    writer["count"].as_u64().unwrap()
}

#[test]
fn every_writer_is_told_before_the_first_freeze() {
    let server = Postgres::shared();
    let (proxy, database) = (Proxy::spawn(server), server.database());
    assert!(proxy.run(&["writers"]).out.contains("nobody has written"));
    let mut client = proxy.connect(&database);
    client.ask("SET application_name = 'worker'");
    for n in 0..5 {
        client.ask(&format!("INSERT INTO t VALUES ({n})"));
    }
    for _ in 0..4 {
        assert_eq!(client.extended("DELETE FROM t WHERE a = 3"), "12C I");
    }
    client.ask("SET application_name = 'reader'");
    client.ask("SELECT * FROM t");
    client.ask("SET application_name = 'cron'");
    client.ask("UPDATE t SET a = 7");
    let all = eventually("both are told", || {
        Some(writers(&proxy, &[])).filter(|all| all.len() == 2 && all.iter().map(count).sum::<u64>() == 10)
    });
    let (worker, cron) = (&all[0], &all[1]);
    assert_eq!((worker["application"].as_str(), count(worker)), (Some("worker"), 9));
    assert_eq!((cron["application"].as_str(), count(cron)), (Some("cron"), 1));
    assert_eq!((&worker["commands"]["INSERT"], &worker["commands"]["DELETE"]), (&5.into(), &4.into()));
    assert_eq!((&worker["tables"][0], &worker["network"]), (&"t".into(), &"127.0.0.0/24".into()));
    assert_eq!((&worker["user"], &worker["database"]), (&"postgres".into(), &database.into()));
    assert_eq!(worker["shapes"].as_array().unwrap().len(), 2, "values make no shapes: {worker}");
    assert!(worker["shapes"][0].get("statement").is_none(), "no SQL unless it is asked for");
    assert!(proxy.run(&["writers"]).out.contains("application \"cron\""));
    assert_eq!(writers(&proxy, &["--since", "1h"]).len(), 2);
    assert_eq!(proxy.run(&["writers", "--since", "soon"]).code, 2);
}

#[test]
fn what_is_refused_is_no_write_and_what_an_exempt_session_does_is_its_own() {
    let server = Postgres::shared();
    let (proxy, database) = (Proxy::spawn(server), server.database());
    proxy.freeze();
    assert_eq!(proxy.connect(&database).ask("INSERT INTO t VALUES (1)"), "E25006 I");
    assert_eq!(proxy.psql_maintenance(&database, &["-c", "INSERT INTO t VALUES (2)"]).code, 0);
    let all =
        eventually("the migration is told", || Some(writers(&proxy, &[])).filter(|all| !all.is_empty()));
    assert_eq!((all.len(), count(&all[0])), (1, 1));
    assert_eq!((&all[0]["is_maintenance"], &all[0]["network"]), (&true.into(), &"local".into()));
}
