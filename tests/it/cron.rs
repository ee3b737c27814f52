//! The check beside a real `pg_cron`: jobs run inside the server, past every proxy; they are named, with the SQL that
//! stops each.

use crate::{
    check::{monitored, verify, violations},
    support::Postgres,
};

/// A server with it, in `postgres`.
fn with_cron() -> Option<Postgres> {
    let server = Postgres::start();
    let available = "SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_cron'";
    if server.sql("postgres", available) == "0" {
        println!("SKIPPED: this server has no pg_cron (Debian: postgresql-15-cron)");
        return None;
    }
    server.sql("postgres", "ALTER SYSTEM SET shared_preload_libraries = 'pg_cron'");
    server.sql("postgres", "ALTER SYSTEM SET autovacuum = off");
    server.down();
    server.up();
    server.sql("postgres", "CREATE EXTENSION pg_cron; CREATE ROLE monitor LOGIN IN ROLE pg_monitor");
    Some(server)
}

#[test]
fn jobs_of_a_real_pg_cron_are_writers_until_the_sql_that_is_told_has_stopped_them() {
    let Some(server) = with_cron() else { return };
    let seen = |role| {
        let proxy = monitored(&server, role, &[]);
        proxy.freeze();
        let (ran, report) = verify(&proxy);
        let job = report["findings"].as_array().unwrap().iter().find(|finding| finding["kind"] == "cron_job");
        let told = job.map(|job| {
            let text = |key: &str| job[key].as_str().unwrap().to_owned();
            (text("what"), text("stop_with"))
        });
        (ran.code, violations(&report), told)
    };
    // A launcher without a job would run the next one that somebody schedules; to read them takes rights.
    assert_eq!(seen("postgres"), (0, vec![], None));
    server.sql(
        "postgres",
        "CREATE TABLE t (a int); SELECT cron.schedule('0 3 * * *', 'INSERT INTO t VALUES (1)')",
    );
    let (code, kinds, told) = seen("postgres");
    assert_eq!((code, kinds), (7, vec!["cron_job".to_owned()]));
    let (what, stop_with) = told.unwrap();
    assert!(what.contains("as postgres in postgres") && what.contains("0 3 * * *"), "{what}");
    let (code, _kinds, told) = seen("monitor");
    assert_eq!(code, 7);
    let (what, stop_all) = told.unwrap();
    assert!(what.contains("can't read its jobs"), "{what}");
    server.sql("postgres", &stop_with);
    assert_eq!(seen("postgres").0, 0, "{stop_with}");
    server.sql("postgres", "SELECT cron.schedule('0 4 * * *', 'INSERT INTO t VALUES (2)')");
    assert_eq!(seen("postgres").0, 7);
    // ALTER SYSTEM is not for a message of several.
    let (commands, _comment) = stop_all.split_once("--").unwrap_or((&stop_all, ""));
    for command in commands.split_inclusive(';') {
        server.sql("postgres", command);
    }
    assert_eq!(seen("postgres").0, 0, "{stop_all}");
}
