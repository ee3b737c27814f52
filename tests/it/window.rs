//! A whole maintenance window: what is looked at before, rehearsed, hooked, tried, opened again and written down.

use crate::{
    exceptions::named,
    support::{Postgres, Proxy, eventually, upstream},
};
use serde_json::Value;
use std::{fmt::Write as _, fs, time::Instant};

const INSERT: &str = "INSERT INTO t VALUES (1)";

/// With a configuration that may speak of the proxy's folder.
fn configured(text: impl Fn(&str) -> String) -> Proxy {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("frostgate.toml");
    fs::write(&file, text(folder.path().to_str().unwrap())).unwrap();
    Proxy::in_folder(folder, &upstream(Postgres::trusting()), &["--config", file.to_str().unwrap()])
}

/// A smoke test by the maintenance listener.
fn smoke(folder: &str, database: &str, write: &str) -> String {
    format!(
        "[smoke]\nconninfo = 'host={folder} port=1 user=postgres dbname={database}'\nread = 'SELECT * FROM t'\n\
         write = '{write}'\nrequired = true\n"
    )
}

#[test]
fn a_window_runs_a_real_migration_and_leaves_its_report() {
    let server = Postgres::trusting();
    let database = server.database();
    let proxy = configured(|folder| {
        let mut text = smoke(folder, &database, "INSERT INTO t (a, currency) VALUES (1, $$EUR$$)");
        write!(
            text,
            "[hooks]\nbefore_freeze = 'echo backup is fresh'\nafter_freeze = 'touch {folder}/frozen'\n\
             after_thaw = ['touch {folder}/open']\n"
        )
        .unwrap();
        text
    });
    let folder = proxy.folder.path().to_owned();
    let mut web = named(&proxy, &database, "web");
    assert_eq!(web.ask(INSERT), "C I");
    let migration = folder.join("migration.sql");
    fs::write(
        &migration,
        "ALTER TABLE t ADD COLUMN currency text;\nUPDATE t SET currency = 'CHF';\n\
         CREATE INDEX CONCURRENTLY t_currency ON t (currency);\n",
    )
    .unwrap();
    let mut verb = proxy.verb(&["window", "--reason", "add currency", "--by", "ann", "--", "sh", "-c"]);
    verb.arg(format!(
        "psql -X -q -v ON_ERROR_STOP=1 -f {} \"$DATABASE_URL\" && psql -X -q -p 1 -c 'SELECT 1' \"$DATABASE_URL\"",
        migration.display()
    ));
    verb.env("DATABASE_URL", format!("postgresql://postgres@127.0.0.1:{}/{database}", proxy.port));
    let ran = crate::support::Ran::of(&verb.output().unwrap());
    assert_eq!(ran.code, 0, "{ran:?}");
    for told in ["nothing keeps a window", "frozen (epoch 1)", "the smoke test passed", "writes pass again"] {
        assert!(ran.out.contains(told), "{told}: {ran:?}");
    }
    assert_eq!(
        web.value("SELECT count(*) FROM t WHERE currency = 'CHF'"),
        "1",
        "the smoke test left nothing"
    );
    assert_eq!(web.ask(INSERT), "C I");
    eventually("the last hook", || folder.join("open").exists().then_some(()));
    assert!(folder.join("frozen").exists());
    let record = eventually("the last hook is in the report", || {
        Some(proxy.run(&["report", "--json"]).json()).filter(|r| r["hooks"].as_array().unwrap().len() == 3)
    });
    assert_eq!((&record["reason"], &record["by"]), (&"add currency".into(), &"ann".into()));
    assert_eq!(record["hooks"][0]["output"], "backup is fresh\n");
    assert!(record["frozen_at"].is_string() && record["ended_at"].is_string(), "{record}");
    assert!(record["smokes"][0]["problem"].is_null(), "{record}");
    let text = proxy.run(&["report", "1"]).out;
    assert!(text.starts_with("# Window 1: add currency"), "{text}");
    assert!(text.contains("backup is fresh") && text.contains("**maintenance_login**"), "{text}");
    assert!(proxy.run(&["history"]).out.contains("ann: add currency"));
    assert_eq!(fs::read_to_string(folder.join("state/windows/1.md")).unwrap().trim_end(), text);
}

#[test]
fn a_window_whose_command_fails_stays_frozen_and_ends_with_its_code() {
    let server = Postgres::trusting();
    let (proxy, database) = (Proxy::spawn(server), server.database());
    let ran = proxy.run(&["window", "--reason", "x", "--", "sh", "-c", "exit 42"]);
    assert_eq!(ran.code, 42, "{ran:?}");
    assert!(ran.err.contains("to go back") && ran.err.contains("frostgate thaw"), "{ran:?}");
    assert_eq!(proxy.state(), "frozen");
    assert_eq!(proxy.connect(&database).ask(INSERT), "E25006 I");
    assert_eq!(proxy.run(&["window", "--reason", "x"]).code, 2, "a command is needed");
}

#[test]
fn a_thaw_waits_for_the_smoke_test_when_the_configuration_says_so() {
    let server = Postgres::trusting();
    let database = server.database();
    let proxy = configured(|folder| smoke(folder, &database, "INSERT INTO missing VALUES (1)"));
    proxy.freeze();
    let ran = proxy.run(&["thaw"]);
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.err.contains("--skip-smoke"), "{ran:?}");
    let ran = proxy.run(&["smoke"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.out.contains("FAILED at write") && ran.out.contains("missing"), "{ran:?}");
    assert_eq!(proxy.run(&["thaw"]).code, 4);
    assert_eq!(proxy.run(&["thaw", "--skip-smoke"]).code, 2, "a reason is needed");
    assert_eq!(proxy.run(&["thaw", "--skip-smoke", "--reason", "known"]).code, 0);
    assert_eq!(proxy.audit("thaw")[0]["skipped_smoke"], true);
    proxy.freeze();
    proxy.psql_maintenance(&database, &["-c", "CREATE TABLE missing (a int)"]);
    assert_eq!(proxy.run(&["smoke"]).code, 0);
    assert_eq!(proxy.run(&["thaw"]).code, 0);
    proxy.freeze();
    assert_eq!(proxy.run(&["thaw"]).code, 4, "the one of the last freeze does not count");
}

#[test]
fn what_must_succeed_before_a_freeze_keeps_it_from_beginning() {
    let proxy = configured(|_| {
        "[hooks]\nbefore_freeze = ['echo one', 'echo the backup is old; exit 3', 'echo never']\n\
         after_thaw = 'sleep 60'\ntimeout_ms = 300\n"
            .into()
    });
    let ran = proxy.run(&["freeze", "--reason", "x"]);
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.err.contains("ended with 3: the backup is old"), "{ran:?}");
    assert_eq!((proxy.state().as_str(), proxy.audit("hook").len()), ("open", 2));
    assert_eq!(proxy.run(&["freeze", "--reason", "x", "--skip-hooks"]).code, 0);
    proxy.thaw();
    let record = eventually("the hook is over", || {
        Some(proxy.run(&["report", "--json"]).json()).filter(|r| r["hooks"].as_array().unwrap().len() == 1)
    });
    assert!(record["hooks"][0]["exit"].is_null(), "it did not end in time: {record}");
}

#[test]
fn a_command_that_is_stopped_at_its_limit_leaves_nothing_running() {
    let proxy = configured(|folder| {
        format!("[hooks]\nbefore_freeze = 'sleep 300 & echo $! > {folder}/child; wait'\ntimeout_ms = 300\n")
    });
    let ran = proxy.run(&["freeze", "--reason", "x"]);
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.err.contains("did not end in time"), "{ran:?}");
    let child = fs::read_to_string(proxy.folder.path().join("child")).unwrap();
    let stat = format!("/proc/{}/stat", child.trim());
    eventually("its child has ended", || {
        let state =
            fs::read_to_string(&stat).ok().and_then(|stat| Some(stat.rsplit_once(") ")?.1.to_owned()));
        // Whoever has become its parent may not have asked how it ended yet.
        state.is_none_or(|state| state.starts_with('Z')).then_some(())
    });
}

#[test]
fn a_command_that_has_ended_is_told_by_its_code_though_it_left_something_running() {
    let proxy = configured(|_| {
        "[hooks]\nbefore_freeze = 'sleep 5 & echo the backup is old; exit 3'\ntimeout_ms = 3000\n".into()
    });
    let ran = proxy.run(&["freeze", "--reason", "x"]);
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.err.contains("ended with 3: the backup is old"), "{ran:?}");
}

#[test]
fn a_window_is_written_down_across_restarts_with_who_was_refused() {
    let server = Postgres::trusting();
    let (proxy, database) = (Proxy::spawn(server), server.database());
    assert_eq!(proxy.run(&["report"]).code, 1);
    proxy.freeze();
    for _ in 0..3 {
        named(&proxy, &database, "worker").ask("DELETE FROM t");
    }
    proxy.run(&["except", "add", "--application", "nobody", "--reason", "late"]);
    eventually("the refusals are told", || {
        (proxy.run(&["report", "--json"]).json()["refused"] == 3).then_some(())
    });
    proxy.signal("TERM");
    let proxy = Proxy::in_folder(proxy.ended(), &upstream(server), &[]);
    proxy.is_eventually("frozen");
    named(&proxy, &database, "worker").ask("DELETE FROM t");
    // Nobody asks for the report: what a crash leaves is on the disk already.
    let kept = proxy.folder.path().join("state/windows/1.json");
    let refused =
        || serde_json::from_str::<Value>(&fs::read_to_string(&kept).ok()?).ok()?["refused"].as_u64();
    eventually("it is kept", || (refused() == Some(4)).then_some(()));
    proxy.signal("KILL");
    let proxy = Proxy::in_folder(proxy.ended(), &upstream(server), &[]);
    proxy.is_eventually("frozen");
    assert_eq!(proxy.run(&["freeze", "--reason", "longer", "--by", "eve", "--until", "45m"]).code, 0);
    assert_eq!(proxy.run(&["thaw", "--by", "bob", "--reason", "done"]).code, 0);
    let record = proxy.run(&["report", "--json"]).json();
    assert_eq!(record["refused"], 4, "{record}");
    assert_eq!(
        (&record["refusals"][0]["application"], &record["refusals"][0]["count"]),
        (&"worker".into(), &4.into())
    );
    assert_eq!(record["refusals"].as_array().unwrap().len(), 1, "{record}");
    assert_eq!((&record["reason"], record["until"].is_string()), (&"longer".into(), true), "{record}");
    assert_ne!(record["by"], "eve", "who froze stays who froze: {record}");
    assert_eq!((&record["ended_by"], &record["end_reason"]), (&"bob".into(), &"done".into()));
    assert_eq!(record["exceptions"][0]["sessions"], 0, "{record}");
    let events = record["events"].as_array().unwrap();
    assert!(events.iter().filter(|event| event["event"] == "frozen").count() == 3, "{record}");
}

/// The events of a window's record, by name.
fn events(record: &Value) -> Vec<&str> {
    record["events"].as_array().unwrap().iter().map(|event| event["event"].as_str().unwrap()).collect()
}

#[test]
fn what_comes_after_the_thaw_is_not_in_the_record_but_the_hooks_behind_it_are() {
    let server = Postgres::trusting();
    let proxy = configured(|folder| {
        format!(
            "[[exceptions]]\nname = 'b'\napplication = 'backup'\nreason = 'x'\n[hooks]\n\
             after_thaw = 'while [ ! -e {folder}/go ]; do sleep 0.05; done; echo over'\n"
        )
    });
    proxy.freeze();
    assert_eq!(proxy.run(&["except", "add", "--name", "own", "--user", "u", "--reason", "x"]).code, 0);
    proxy.thaw();
    assert_eq!(proxy.run(&["except", "add", "--name", "late", "--user", "u", "--reason", "x"]).code, 0);
    assert_eq!(proxy.psql_maintenance(&server.database(), &["-c", "SELECT 1"]).code, 0);
    eventually("the login is told", || (!proxy.audit("maintenance_login").is_empty()).then_some(()));
    // The hook behind the first thaw ends in the second window.
    proxy.freeze();
    fs::write(proxy.folder.path().join("go"), "").unwrap();
    let report = |number: &str| proxy.run(&["report", number, "--json"]).json();
    let first = eventually("the hook is in its own window", || {
        Some(report("1")).filter(|record| record["hooks"].as_array().unwrap().len() == 1)
    });
    assert_eq!(first["hooks"][0]["output"], "over\n");
    assert_eq!(events(&first), ["freeze", "frozen", "exception_made", "thaw"], "{first}");
    let rules: Vec<&str> =
        first["exceptions"].as_array().unwrap().iter().map(|rule| rule["name"].as_str().unwrap()).collect();
    assert_eq!(rules, ["b", "own"], "those of the freeze, and no later one");
    assert_eq!(report("3")["hooks"], serde_json::json!([]));
}

#[test]
fn the_end_of_a_reopening_is_in_the_record_that_its_last_stage_closed() {
    let proxy = configured(|_| "[[reopen]]\nname = 'all'\ndwell_ms = 100\n".into());
    proxy.freeze();
    assert_eq!(proxy.run(&["reopen"]).code, 0);
    let record = proxy.run(&["report", "--json"]).json();
    assert_eq!(
        events(&record),
        ["freeze", "frozen", "thaw", "stage_opened", "stage_passed", "reopen"],
        "{record}"
    );
    assert_eq!(record["events"][5]["outcome"], "done");
}

#[test]
fn a_reopening_goes_stage_by_stage_and_a_failed_stage_freezes_again() {
    let proxy = configured(|_| {
        "[[reopen]]\nname = 'admins'\napplication = 'admin'\ndwell_ms = 300\n[[reopen]]\nname = 'web'\n\
         application = 'web*'\ndwell_ms = 60000\nmax_server_errors = 2\n"
            .into()
    });
    let database = Postgres::trusting().database();
    assert_eq!(proxy.run(&["reopen"]).code, 1, "nothing is frozen");
    proxy.freeze();
    let (mut admin, mut web) = (named(&proxy, &database, "admin"), named(&proxy, &database, "web 1"));
    assert_eq!(web.ask(INSERT), "E25006 I");
    let mut reopening =
        proxy.verb(&["reopen", "--json"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    eventually("the second stage", || {
        (proxy.audit("stage_opened").len() == 2 && web.ask(INSERT) == "C I").then_some(())
    });
    assert_eq!(admin.ask(INSERT), "C I");
    assert_eq!(named(&proxy, &database, "cron").ask(INSERT), "E25006 I");
    let failed = Instant::now();
    for _ in 0..3 {
        assert_eq!(web.ask("SELECT 1/0"), "E22012 I");
    }
    eventually("frozen again", || (web.ask(INSERT) == "E25006 I").then_some(()));
    assert!(failed.elapsed().as_millis() < 1_000, "{:?}", failed.elapsed());
    assert_eq!(admin.ask(INSERT), "E25006 I", "all of them");
    assert_eq!(reopening.wait().unwrap().code(), Some(1));
    proxy.is_eventually("frozen");
    assert!(proxy.audit("stage_failed")[0]["problem"].as_str().unwrap().contains("3 server errors"));
    assert_eq!(proxy.metric("frostgate_reopen_stages_failed_total"), Some(1.0));
    let ran = proxy.run(&["freeze", "--reason", "again"]);
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn a_reopening_ends_open_for_all_and_another_verb_ends_it() {
    let proxy = configured(|_| {
        "[[reopen]]\nname = 'admins'\napplication = 'admin'\ndwell_ms = 200\n[[reopen]]\nname = 'all'\n\
         dwell_ms = 200\n"
            .into()
    });
    proxy.freeze();
    let ran = proxy.run(&["reopen"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "open: all 2 stages passed"), "{ran:?}");
    assert_eq!(proxy.state(), "open");
    proxy.freeze();
    assert_eq!(proxy.run(&["reopen", "--no-wait"]).code, 0);
    assert_eq!(proxy.run(&["reopen"]).code, 1, "one at a time");
    assert_eq!(proxy.run(&["freeze", "--reason", "stop"]).code, 0);
    eventually("it is overtaken", || {
        proxy.audit("reopen").iter().any(|line| line["outcome"] == "overtaken").then_some(())
    });
    assert_eq!(proxy.state(), "frozen");
}

#[test]
fn a_rehearsal_refuses_nothing_and_tells_who_would_be() {
    let proxy = configured(|_| "[[exceptions]]\nname = 'b'\napplication = 'backup'\nreason = 'x'\n".into());
    let database = Postgres::trusting().database();
    let mut verb = proxy.verb(&["rehearse", "--for", "2s", "--window", "00:00-23:59"]);
    let rehearsal = verb.stdout(std::process::Stdio::piped()).spawn().unwrap();
    for application in ["cron", "backup"] {
        assert_eq!(named(&proxy, &database, application).ask("DELETE FROM t"), "C I");
    }
    let ran = crate::support::Ran::of(&rehearsal.wait_with_output().unwrap());
    assert_eq!(ran.code, 0, "{ran:?}");
    for told in [
        "1 would be refused: application \"cron\"",
        "DELETE t",
        "excepted by b: application \"backup\"",
        "[[exceptions]]",
        "WRITES in the hours 00:00-23:59: 1 by application \"cron\"",
    ] {
        assert!(ran.out.contains(told), "{told}: {}", ran.out);
    }
}

#[test]
fn preflight_tells_what_a_freeze_would_meet() {
    let server = Postgres::trusting();
    let database = server.database();
    let proxy = configured(|folder| smoke(folder, &database, "INSERT INTO t VALUES (1)"));
    let mut client = proxy.connect(&database);
    client.ask("CREATE TABLE que_jobs (finished_at timestamptz, expired_at timestamptz, run_at timestamptz)");
    client.ask("INSERT INTO que_jobs (run_at) VALUES (now() - interval '1 h')");
    client.ask("CREATE TABLE jobs (a int)");
    let ran = proxy.run(&["preflight"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.contains("Que (que_jobs): 1 queued, 0 running, the oldest is 36"), "{}", ran.out);
    assert!(ran.out.contains("run AGAIN after the thaw"), "{}", ran.out);
    assert!(ran.out.contains("jobs looks like Laravel's, but"), "{}", ran.out);
    assert!(ran.out.contains("nothing keeps a window from beginning"), "{}", ran.out);
    client.ask("BEGIN");
    client.ask("LOCK TABLE t IN ACCESS EXCLUSIVE MODE");
    let found = proxy.run(&["preflight", "--json"]).json();
    let locks = found["findings"].as_array().unwrap().iter().find(|f| f["topic"] == "locks").cloned();
    let locks = locks.unwrap_or_else(|| panic!("{found}"));
    assert!(locks["text"].as_str().unwrap().contains("AccessExclusiveLock on t"), "{locks}");
    let blind = Proxy::spawn(server);
    assert_eq!(blind.run(&["preflight"]).code, 2, "nobody can look");
}
