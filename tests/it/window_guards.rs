//! What keeps a window from doing harm: another's freeze, an interrupt, a command that can't be started, a verb that
//! comes between; and in which words it is told.

use crate::support::{Postgres, Proxy, Ran, eventually, unix_query, upstream};
use std::{
    fs,
    os::unix::net::UnixStream,
    process::{Child, Command, Stdio},
};

fn configured(text: &str) -> Proxy {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("frostgate.toml");
    fs::write(&file, text).unwrap();
    Proxy::in_folder(folder, &upstream(Postgres::trusting()), &["--config", file.to_str().unwrap()])
}

/// A verb that goes on by itself.
fn begun(proxy: &Proxy, arguments: &[&str]) -> Child {
    proxy.verb(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn interrupt(verb: &Child) {
    assert!(Command::new("kill").args(["-INT", &verb.id().to_string()]).status().unwrap().success());
}

/// It may not be waiting for a signal yet: it is sent once the verb listens for it, as the kernel tells.
fn interrupt_when_listening(verb: &Child) {
    const INTERRUPT: u64 = 1 << 1;
    eventually("it listens for the signal", || {
        let status = fs::read_to_string(format!("/proc/{}/status", verb.id())).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        (u64::from_str_radix(caught.trim(), 16).unwrap() & INTERRUPT != 0).then_some(())
    });
    interrupt(verb);
}

fn ended(mut verb: Child) -> Ran {
    eventually("the end of the verb", || verb.try_wait().unwrap());
    Ran::of(&verb.wait_with_output().unwrap())
}

#[test]
fn a_freeze_of_everybody_is_not_thawed_by_the_reopening_that_it_came_into() {
    let proxy = configured(
        "[[reopen]]\nname = 'adm'\nuser = 'adm'\ndwell_ms = 2000\n\
         [[reopen]]\nname = 'app'\nuser = 'app'\ndwell_ms = 100\n",
    );
    for user in ["adm", "app"] {
        assert_eq!(proxy.run(&["freeze", "--user", user, "--reason", "x"]).code, 0);
    }
    assert_eq!(proxy.run(&["reopen", "--no-wait"]).code, 0);
    let ran = proxy.run(&["freeze", "--reason", "STOP"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let told = eventually("the end of the reopening", || proxy.audit("reopen").first().cloned());
    assert_eq!(told["outcome"], "overtaken", "{told}");
    assert_eq!((proxy.state(), proxy.audit("stage_opened").len()), ("frozen".into(), 1));
    assert_eq!(proxy.status()["thawed"], serde_json::json!([]));
}

#[test]
fn a_stage_that_fails_freezes_those_again_whom_it_had_taken_out_of_the_scope() {
    let proxy = configured("[[reopen]]\nname = 'adm'\nuser = 'adm'\ndwell_ms = 60000\nmax_refused = 0\n");
    for user in ["adm", "postgres"] {
        assert_eq!(proxy.run(&["freeze", "--user", user, "--reason", "x"]).code, 0);
    }
    let mut client = proxy.connect(&Postgres::trusting().database());
    assert_eq!(proxy.run(&["reopen", "--no-wait"]).code, 0);
    assert_eq!(client.ask("INSERT INTO t VALUES (1)"), "E25006 I");
    let told = eventually("the end of the reopening", || proxy.audit("reopen").first().cloned());
    assert_eq!(told["outcome"], "failed", "{told}");
    let scope = proxy.status()["scope"].clone();
    assert!(scope.as_array().unwrap().iter().any(|of| of["user"] == "adm"), "{scope}");
}

#[test]
fn a_window_does_not_take_the_option_that_would_not_wait_for_the_drain() {
    let proxy = Proxy::spawn(Postgres::shared());
    let ran = proxy.run(&["window", "--reason", "x", "--no-wait", "--", "true"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains("--no-wait") && ran.err.contains("drain"), "{ran:?}");
    assert_eq!((proxy.state().as_str(), proxy.audit("freeze").len()), ("open", 0));
}

#[test]
fn a_window_does_not_take_over_the_freeze_of_somebody_else() {
    let proxy = Proxy::spawn(Postgres::shared());
    assert_eq!(proxy.run(&["freeze", "--reason", "storage move", "--by", "bob"]).code, 0);
    let mark = proxy.folder.path().join("ran");
    let ran = proxy.run(&["window", "--reason", "x", "--by", "ann", "--", "touch", mark.to_str().unwrap()]);
    assert_eq!(ran.code, 4, "{ran:?}");
    for told in ["bob", "storage move", "frostgate thaw"] {
        assert!(ran.err.contains(told), "{told}: {ran:?}");
    }
    assert!(!mark.exists());
    let status = proxy.status();
    assert_eq!((&status["state"], &status["reason"]), (&"frozen".into(), &"storage move".into()));
}

#[test]
fn a_database_url_that_cannot_be_led_elsewhere_keeps_a_window_from_freezing() {
    let proxy = Proxy::spawn(Postgres::shared());
    let mut verb = proxy.verb(&["window", "--reason", "x", "--", "true"]);
    let ran = Ran::of(&verb.env("DATABASE_URL", "mysql://app:secret@db/shop").output().unwrap());
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains("DATABASE_URL") && !ran.err.contains("secret"), "{ran:?}");
    assert_eq!((proxy.state().as_str(), proxy.audit("freeze").len()), ("open", 0));
}

#[test]
fn the_command_of_a_window_finds_its_own_url_and_no_variable_that_leads_elsewhere() {
    let proxy = Proxy::spawn(Postgres::shared());
    let print = "echo \"$DATABASE_URL ${PGHOSTADDR-none} ${PGSERVICE-none}\"";
    let mut verb = proxy.verb(&["window", "--reason", "x", "--", "sh", "-c", print]);
    verb.env("DATABASE_URL", "postgresql+psycopg://app:p%40w@db:5432/shop?schema=public&pool=5");
    let ran = Ran::of(&verb.env("PGHOSTADDR", "192.0.2.1").env("PGSERVICE", "shop").output().unwrap());
    assert_eq!(ran.code, 0, "{ran:?}");
    let folder = proxy.maintenance.parent().unwrap().display().to_string().replace('/', "%2F");
    let url =
        format!("postgresql+psycopg://app:p%40w@/shop?schema=public&pool=5&host={folder}&port=1 none none");
    assert!(ran.out.contains(&url), "{url}: {ran:?}");
}

#[test]
fn an_interrupted_window_waits_for_its_command_and_stays_frozen() {
    let proxy = Proxy::spawn(Postgres::shared());
    let (mark, go) = (proxy.folder.path().join("begun"), proxy.folder.path().join("go"));
    let command = format!("touch {}; while [ ! -e {} ]; do sleep 0.05; done", mark.display(), go.display());
    let window = || begun(&proxy, &["window", "--reason", "x", "--", "sh", "-c", &command]);
    let verb = window();
    eventually("the command runs", || mark.exists().then_some(()));
    interrupt_when_listening(&verb);
    fs::write(&go, "").unwrap();
    let ran = ended(verb);
    assert_eq!(ran.code, 130, "{ran:?}");
    assert!(ran.err.contains("the proxy is frozen") && ran.err.contains("frostgate thaw"), "{ran:?}");
    assert_eq!(proxy.state(), "frozen");
    proxy.thaw();
    fs::remove_file(&go).unwrap();
    fs::remove_file(&mark).unwrap();
    let mut verb = window();
    eventually("the command runs", || mark.exists().then_some(()));
    eventually("it does not wait for ever", || {
        interrupt(&verb);
        verb.try_wait().unwrap()
    });
    fs::write(&go, "").unwrap();
    let ran = ended(verb);
    assert_eq!(ran.code, 130, "{ran:?}");
    assert!(ran.err.contains("may still run"), "{ran:?}");
    assert_eq!(proxy.state(), "frozen");
}

#[test]
fn a_freeze_that_somebody_asked_for_meanwhile_is_not_thawed_at_the_end_of_a_window() {
    let proxy = configured("[[reopen]]\nname = 'all'\ndwell_ms = 100\n");
    let (mark, go) = (proxy.folder.path().join("begun"), proxy.folder.path().join("go"));
    let command = format!("touch {}; while [ ! -e {} ]; do sleep 0.05; done", mark.display(), go.display());
    for how in [&[][..], &["--reopen"]] {
        let window = [&["window", "--reason", "x"], how, &["--", "sh", "-c", &command]].concat();
        let verb = begun(&proxy, &window);
        eventually("the command runs", || mark.exists().then_some(()));
        assert_eq!(proxy.run(&["freeze", "--reason", "storage move", "--by", "bob"]).code, 0);
        fs::write(&go, "").unwrap();
        let ran = ended(verb);
        assert_eq!(ran.code, 1, "{ran:?}");
        for told in ["another freeze or thaw has come in between", "the command was done", "frostgate thaw"] {
            assert!(ran.err.contains(told), "{told}: {ran:?}");
        }
        let status = proxy.status();
        assert_eq!((&status["state"], &status["reason"]), (&"frozen".into(), &"storage move".into()));
        proxy.thaw();
        fs::remove_file(&go).unwrap();
        fs::remove_file(&mark).unwrap();
    }
}

#[test]
fn a_window_whose_command_cannot_be_started_says_how_to_go_on() {
    let proxy = Proxy::spawn(Postgres::shared());
    let ran = proxy.run(&["window", "--reason", "x", "--", "/nonexistent/migrate"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    for told in ["can't run /nonexistent/migrate", "to go back", "frostgate thaw"] {
        assert!(ran.err.contains(told), "{told}: {ran:?}");
    }
    assert_eq!(proxy.state(), "frozen");
}

#[test]
fn an_interrupted_reopening_and_an_interrupted_rehearsal_say_what_became_of_them() {
    let proxy = configured("[[reopen]]\nname = 'adm'\nuser = 'adm'\ndwell_ms = 60000\n");
    let rehearsal = begun(&proxy, &["rehearse", "--for", "10m"]);
    interrupt_when_listening(&rehearsal);
    let ran = ended(rehearsal);
    assert_eq!(ran.code, 130, "{ran:?}");
    assert!(ran.out.contains("nothing would have been refused"), "{ran:?}");
    proxy.freeze();
    let reopening = begun(&proxy, &["reopen"]);
    interrupt_when_listening(&reopening);
    let ran = ended(reopening);
    assert_eq!(ran.code, 130, "{ran:?}");
    assert!(ran.err.contains("goes on") && ran.err.contains("frostgate freeze"), "{ran:?}");
}

#[test]
fn the_status_names_whom_a_thaw_waits_for_and_says_what_was_not_checked_and_why() {
    let server = Postgres::trusting();
    let database = server.database();
    let monitor = format!("{} user=postgres dbname=postgres", upstream(server));
    let proxy = Proxy::with(&upstream(server), &["--monitor", &monitor]);
    let mut writer = proxy.connect(&database);
    writer.ask("BEGIN; INSERT INTO t VALUES (1)");
    proxy.shut();
    let told = proxy.run(&["status"]).out;
    assert!(told.contains("quiet: not checked while draining"), "{told}");
    assert!(told.contains("holding up"), "{told}");
    assert_eq!(writer.ask("COMMIT"), "C I");
    proxy.is_eventually("frozen");
    let ran = proxy.run(&["freeze", "--reason", "x", "--no-wait"]);
    assert!(ran.out.starts_with("frozen (epoch 1)") && !ran.out.contains("draining"), "{ran:?}");
    let mut keeper = UnixStream::connect(&proxy.maintenance).unwrap();
    unix_query(&mut keeper, &database, "BEGIN; INSERT INTO t VALUES (1)");
    let ran = proxy.run(&["thaw"]);
    assert_eq!(ran.code, 4, "{ran:?}");
    let told = proxy.run(&["status"]).out;
    assert!(told.contains("holding up") && told.contains("from local"), "{told}");
}

#[test]
fn an_exempt_session_that_only_read_in_its_transaction_is_named_as_the_one_that_the_thaw_waits_for() {
    let server = Postgres::trusting();
    let (proxy, database) = (Proxy::spawn(server), server.database());
    let mut keeper = UnixStream::connect(&proxy.maintenance).unwrap();
    unix_query(&mut keeper, &database, "BEGIN");
    assert_eq!(proxy.status()["holding_up"], serde_json::json!([]), "nothing waits for it while open");
    proxy.freeze();
    assert_eq!(proxy.run(&["thaw"]).code, 4);
    let status = proxy.status();
    assert_eq!(status["holding_up"][0]["standing"], "exempt", "{status}");
    let told = proxy.run(&["status"]).out;
    assert!(told.contains("exempt (the thaw waits for it): user postgres"), "{told}");
}

#[test]
fn a_fault_at_the_start_is_told_apart_from_its_label() {
    let proxy = Proxy::spawn(Postgres::shared());
    proxy.signal("TERM");
    let folder = proxy.ended();
    fs::write(folder.path().join("state/state.json"), "{}").unwrap();
    let proxy = Proxy::in_folder(folder, &upstream(Postgres::shared()), &[]);
    let told = proxy.run(&["status"]).out;
    assert!(told.contains("\nstarted frozen "), "{told}");
}
