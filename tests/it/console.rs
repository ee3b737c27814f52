//! The console, with a real psql and a real driver: every command, who may say it, what is written down of it, and that
//! it is there when nothing else is.

use crate::support::{Postgres, Proxy, Ran, Secure, Wire, eventually, message, short, upstream};
use frostgate::{
    auth::{Answer, Answering, Credential, RANDOM},
    wire::startup::StartupMessage,
};
use serde_json::Value;
use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage, error::SqlState};

/// A proxy with a console for the admin ann and the viewer bob; eve has a password and no role.
struct Set {
    proxy: Proxy,
    folder: TempDir,
}

const SECRETS: &str = "\"ann\" \"secret of ann\"\n\"bob\" \"secret of bob\"\n\"eve\" \"secret of eve\"\n";
const USERS: &str = "admins = ['ann']\nviewers = ['bob']";

fn set(upstream: &str, users: &str, more: &str) -> Set {
    let folder = tempfile::tempdir().unwrap();
    let (secrets, config) = (folder.path().join("secrets"), folder.path().join("config"));
    fs::write(&secrets, SECRETS).unwrap();
    let text = format!("{more}\n[console]\nsecrets = '{}'\n{users}\n", secrets.display());
    fs::write(&config, text).unwrap();
    let proxy = Proxy::with(upstream, &["--config", config.to_str().unwrap()]);
    Set { proxy, folder }
}

impl Set {
    fn command(&self, user: &str, words: &str) -> Command {
        let mut command = Command::new("psql");
        let conninfo =
            format!("host=127.0.0.1 port={} user={user} dbname=frostgate {words}", self.proxy.port);
        command.args(["-X", "-A", "-t", "-q", "-v", "VERBOSITY=verbose", "-d", &conninfo]);
        command.env("PGPASSWORD", format!("secret of {user}")).stdin(Stdio::null());
        command
    }

    fn psql(&self, user: &str, sql: &str) -> Ran {
        Ran::of(&self.command(user, "").args(["-c", sql]).output().unwrap())
    }

    /// What an admin is answered.
    fn ann(&self, sql: &str) -> String {
        let ran = self.psql("ann", sql);
        assert_eq!(ran.code, 0, "{sql}: {ran:?}");
        ran.out
    }

    /// What is written down of the console's commands.
    fn commands(&self) -> Vec<Value> {
        self.proxy.audit("console_command")
    }
}

fn plain() -> Set {
    set(&upstream(Postgres::shared()), USERS, "")
}

/// One value of SHOW STATUS.
fn value(status: &str, key: &str) -> String {
    let line = status.lines().find_map(|line| line.strip_prefix(&format!("{key}|")));
    line.unwrap_or_else(|| panic!("{key}: {status}")).to_owned()
}

#[test]
fn every_command_answers_in_psql() {
    let server = Postgres::shared();
    let (set, database) = (set(&upstream(server), USERS, ""), server.database());
    let mut writer = set.proxy.connect(&database);
    assert_eq!(writer.ask("BEGIN; INSERT INTO t VALUES (1)"), "CC T");
    let status = set.ann("SHOW STATUS");
    assert_eq!((value(&status, "state"), value(&status, "sessions")), ("open".into(), "1".into()));
    let session = eventually("the writer's standing", || {
        let sessions = set.ann("show sessions;");
        sessions.contains("|writing|true|").then_some(sessions)
    });
    assert!(session.contains(&format!("|postgres|{database}|")), "{session}");
    eventually("the writer", || set.ann("SHOW WRITERS").contains("INSERT 1").then_some(()));
    assert_eq!(set.ann("SHOW REFUSED"), "");
    assert_eq!(set.ann("SHOW EXCEPTIONS"), "");
    assert_eq!(set.ann("SHOW WINDOWS"), "");
    assert_eq!(set.ann("Show Version;"), format!("Frostgate {}", env!("CARGO_PKG_VERSION")));
    assert!(set.ann("HELP").contains("SHOW STATUS|viewer|"));
    assert!(set.ann("HELP").contains("FREEZE REASON '…' [UNTIL '…']"));
    let config = set.ann("SHOW CONFIG");
    assert!(config.contains("console.admins|ann") && !config.contains("secret of"), "{config}");
    assert_eq!(set.ann("SHOW frostgate.state; SHOW frostgate.epoch"), "open\n0");

    let number = session.split('|').next().unwrap();
    let killed = set.ann(&format!("KILL {number}"));
    assert_eq!(killed, format!("{number}|postgres|{database}|"));
    eventually("the end of the session", || {
        (value(&set.ann("SHOW STATUS"), "sessions") == "0").then_some(())
    });
    assert_eq!(server.rows(&database), 0, "its transaction was rolled back");
    let gone = set.psql("ann", &format!("KILL {number}"));
    assert!(gone.err.contains("22023") && gone.err.contains("there is no session"), "{gone:?}");

    let reloaded = set.ann("RELOAD");
    assert_eq!(reloaded, "upstream|\nauth|\nconsole|\nconfiguration|");
    let added = set.proxy.run(&["except", "add", "--user", "backup", "--reason", "its catalog"]);
    assert_eq!(added.code, 0, "{added:?}");
    assert!(set.ann("SHOW EXCEPTIONS").starts_with("e1|exempt|user backup|its catalog|"));
    let rule = "\n[[deny]]\nname = 'que'\napplication = 'que'\nreason = 'it reads to write'\n";
    let file = set.folder.path().join("config");
    fs::write(&file, fs::read_to_string(&file).unwrap() + rule).unwrap();
    set.ann("RELOAD");
    assert!(set.ann("SHOW CONFIG").contains("exceptions, deny|que"), "it is what holds");
}

#[test]
fn a_freeze_by_the_console_is_the_one_that_the_command_line_tells_of() {
    let server = Postgres::shared();
    let (set, database) = (set(&upstream(server), USERS, ""), server.database());
    let frozen = set.ann("FREEZE REASON 'it''s time' UNTIL 45m");
    assert!(frozen.starts_with("frozen|1|frozen (epoch 1) since "), "{frozen}");
    assert!(frozen.ends_with("|the server itself was not checked: what goes round the proxy is not seen"));
    let status = set.proxy.status();
    assert_eq!(
        (&status["state"], &status["reason"], &status["by"]),
        (&"frozen".into(), &"it's time".into(), &"ann".into())
    );
    assert!(status["until"].is_string(), "{status}");
    let told = set.ann("SHOW STATUS");
    assert_eq!(
        (value(&told, "state"), value(&told, "reason"), value(&told, "by")),
        ("frozen".into(), "it's time".into(), "ann".into())
    );
    let refused = set.proxy.psql(&database, &["-c", "INSERT INTO t VALUES (1)"]);
    assert!(refused.err.contains("by ann") && refused.err.contains("it's time"), "{refused:?}");
    eventually("the refusal", || set.ann("SHOW REFUSED").starts_with("1|postgres|").then_some(()));
    assert!(set.ann("SHOW WINDOWS").starts_with("1|it's time|ann|"));
    assert_eq!(set.ann("SHOW frostgate.state; SHOW frostgate.reason"), "frozen\nit's time");
    let opened = set.ann("THAW REASON 'done'");
    assert_eq!(opened, "open|2|open: writes pass again (epoch 2)");
    assert_eq!(set.proxy.state(), "open");
}

#[test]
fn a_drain_is_told_of_as_it_goes_and_its_stragglers_by_name() {
    let server = Postgres::shared();
    let (set, database) = (set(&upstream(server), USERS, ""), server.database());
    let mut writer = set.proxy.connect(&database);
    assert_eq!(writer.ask("BEGIN; INSERT INTO t VALUES (1)"), "CC T");
    let late = set.psql("ann", "FREEZE DRAIN_TIMEOUT '1500ms' REASON 'late'");
    assert_eq!(late.code, 1, "{late:?}");
    for told in [
        "NOTICE:  00000: draining: 1 writing",
        "ERROR:  55P03: NOT frozen: the drain time is over, and 1 session(s) have not ended",
        "end it with: SELECT pg_terminate_backend(",
        "THAW opens the gate",
    ] {
        assert!(late.err.contains(told), "{told}: {late:?}");
    }
    assert_eq!(set.proxy.state(), "draining");
    let ended = set.ann("FREEZE REASON 'now' STRAGGLERS rollback DRAIN_TIMEOUT '100ms'");
    assert!(ended.starts_with("frozen|1|"), "{ended}");
    assert_eq!(server.rows(&database), 0);
    let again = set.ann("FREEZE REASON 'again' NO_WAIT");
    assert_eq!(again, "frozen|1|frozen (epoch 1)|");
}

/// psql, at a FREEZE that waits for a writer.
fn waiting(set: &Set) -> (Child, BufReader<std::process::ChildStderr>) {
    let mut command = set.command("ann", "");
    command.args(["-c", "FREEZE REASON 'long' DRAIN_TIMEOUT '10m'"]);
    let mut psql = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(psql.stderr.take().unwrap());
    let mut line = String::new();
    told.read_line(&mut line).unwrap();
    assert!(line.contains("draining: 1 writing"), "{line}");
    (psql, told)
}

#[test]
fn control_c_ends_the_waiting_and_not_the_freeze() {
    let server = Postgres::shared();
    let (set, database) = (set(&upstream(server), USERS, ""), server.database());
    let mut writer = set.proxy.connect(&database);
    assert_eq!(writer.ask("BEGIN; INSERT INTO t VALUES (1)"), "CC T");
    let (mut psql, mut told) = waiting(&set);
    let interrupted = Command::new("kill").args(["-INT", &psql.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    let mut text = String::new();
    told.read_to_string(&mut text).unwrap();
    assert_eq!(psql.wait().unwrap().code(), Some(1));
    assert!(text.contains("57014: canceling statement due to user request"), "{text}");
    assert!(text.contains("Only the waiting has ended: the proxy is draining."), "{text}");
    assert_eq!(set.proxy.state(), "draining");
    assert_eq!(writer.ask("COMMIT"), "C I");
    set.proxy.is_eventually("frozen");

    // Another hand's thaw ends a waiting too.
    set.proxy.thaw();
    assert_eq!(writer.ask("BEGIN; INSERT INTO t VALUES (1)"), "CC T");
    let (mut psql, mut told) = waiting(&set);
    set.proxy.thaw();
    text.clear();
    told.read_to_string(&mut text).unwrap();
    assert_eq!(psql.wait().unwrap().code(), Some(1));
    assert!(text.contains("55P03: overtaken: the proxy is open"), "{text}");
}

#[test]
fn a_verb_at_the_console_that_waits_for_the_disk_keeps_no_client_waiting() {
    let server = Postgres::shared();
    let set = set(&upstream(server), USERS, "threads = 1");
    let mut client = set.proxy.connect(&server.database());
    assert_eq!(client.ask("INSERT INTO t VALUES (1)"), "C I");
    // Whoever opens it to write waits until somebody reads: the slowest of disks.
    let disk = set.proxy.folder.path().join("state/state.json.next");
    assert!(Command::new("mkfifo").arg(&disk).status().unwrap().success());
    let mut verb = set.command("ann", "").args(["-c", "FREEZE REASON 'x'"]).spawn().unwrap();
    eventually("the gate is shut", || (client.ask("INSERT INTO t VALUES (1)") == "E25006 I").then_some(()));
    assert_eq!(client.ask("SELECT 1"), "TDC I");
    assert!(verb.try_wait().unwrap().is_none(), "it waits for the disk");
    let reader = fs::File::open(&disk).unwrap();
    fs::remove_file(&disk).unwrap();
    drop(reader);
    eventually("the end of the verb", || verb.try_wait().unwrap());
}

#[test]
fn only_its_users_come_in_and_only_admins_change_anything() {
    let set = plain();
    let connect = |user: &str, password: &str| {
        let mut command = set.command(user, "");
        Ran::of(&command.env("PGPASSWORD", password).args(["-c", "SHOW VERSION"]).output().unwrap())
    };
    for (user, password) in
        [("ann", "wrong"), ("nobody", "x"), ("eve", "secret of eve"), ("ann", "secret of bob")]
    {
        let ran = connect(user, password);
        let text = format!("password authentication failed for user \"{user}\"");
        assert!(ran.code == 2 && ran.err.contains(&text), "{user}: {ran:?}");
    }
    for command in ["FREEZE REASON 'x'", "THAW", "RELOAD", "KILL 1"] {
        let ran = set.psql("bob", command);
        let verb = command.split(' ').next().unwrap();
        assert!(ran.err.contains(&format!("42501: permission denied for {verb}")), "{ran:?}");
    }
    assert_eq!(set.proxy.state(), "open");
    for command in ["SHOW STATUS", "SHOW CONFIG", "HELP", "SHOW frostgate.state"] {
        assert_eq!(set.psql("bob", command).code, 0, "{command}");
    }
    // A verifier is as good as a password, once the file is read again.
    let verifier = Postgres::shared().sql(
        "postgres",
        "SET password_encryption = 'scram-sha-256'; CREATE ROLE console_ann PASSWORD 'new'; \
         SELECT rolpassword FROM pg_authid WHERE rolname = 'console_ann'; DROP ROLE console_ann",
    );
    fs::write(set.folder.path().join("secrets"), format!("\"ann\" \"{verifier}\"\n")).unwrap();
    set.proxy.signal("HUP");
    eventually("the new secret", || (connect("ann", "new").code == 0).then_some(()));
    assert_eq!(connect("ann", "secret of ann").code, 2);
}

#[test]
fn each_command_is_in_the_audit_with_who_from_where_and_how_it_ended() {
    let set = plain();
    set.ann("FREEZE REASON 'why'; THAW");
    assert_eq!(set.psql("bob", "THAW").code, 1);
    set.ann("SHOW STATUS; SHOW STATUS; SHOW STATUS");
    let told = eventually("the lines", || Some(set.commands()).filter(|lines| lines.len() >= 4));
    let facts: Vec<_> = told
        .iter()
        .map(|line| {
            [&line["user"], &line["role"], &line["outcome"], &line["code"]].map(|v| v.as_str().unwrap_or("-"))
        })
        .collect();
    assert_eq!(
        facts,
        [
            ["ann", "admin", "done", "-"],
            ["ann", "admin", "done", "-"],
            ["bob", "viewer", "error", "42501"],
            // What is looked at over and over is one line in an interval.
            ["ann", "admin", "done", "-"],
        ]
    );
    assert!(told[0]["client"].as_str().unwrap().starts_with("127.0.0.1:"), "{}", told[0]);
    let said = told.iter().map(|line| [&line["command"], &line["text"]].map(|v| v.as_str().unwrap_or("-")));
    assert_eq!(
        said.collect::<Vec<_>>(),
        [
            ["FREEZE", "FREEZE REASON 'why'; THAW"],
            ["THAW", "FREEZE REASON 'why'; THAW"],
            // What nobody did is told, and neither its text nor it itself is kept with the window.
            ["THAW", "-"],
            ["SHOW STATUS", "-"],
        ]
    );
    let report = set.proxy.run(&["report", "--json"]);
    assert!(report.out.contains("console_command") && !report.out.contains("bob"), "{report:?}");
    assert_eq!(set.proxy.audit("console_login").len(), 3);
    assert_eq!(set.psql("eve", "HELP").code, 2);
    let failed = eventually("the failed login", || set.proxy.audit("console_login_failed").pop());
    assert_eq!(failed["user"], "eve", "{failed}");
    let freeze = &set.proxy.audit("freeze")[0];
    assert_eq!((&freeze["by"], &freeze["reason"]), (&"ann".into(), &"why".into()));
}

#[test]
fn watch_works() {
    let set = plain();
    let mut command = set.command("bob", "");
    command.arg("-f").arg("-").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut psql = command.spawn().unwrap();
    psql.stdin.take().unwrap().write_all(b"SHOW frostgate.state \\watch 0.1\n").unwrap();
    let mut told = BufReader::new(psql.stdout.take().unwrap()).lines();
    let mut until = |state: &str| told.by_ref().map_while(Result::ok).find(|line| line == state).unwrap();
    assert_eq!((until("open"), until("open")), ("open".into(), "open".into()));
    set.proxy.freeze();
    assert_eq!(until("frozen"), "frozen");
    psql.kill().unwrap();
    psql.wait().unwrap();
}

#[test]
fn what_is_no_command_is_told_so_and_the_connection_stays() {
    let set = plain();
    let mut command = set.command("ann", "");
    command.args(["-c", "SELECT 1", "-c", "FREEZE", "-c", "FREEZE REASON 'x' TILL '1h'"]);
    let ran = Ran::of(
        &command.args(["-c", "SHOW search_path", "-c", ";", "-c", "SHOW frostgate.state"]).output().unwrap(),
    );
    assert_eq!((ran.code, ran.out.as_str()), (0, "open"), "{ran:?}");
    for told in [
        "42601: syntax error at or near \"select\"",
        "HELP lists its commands",
        "42601: the following required arguments were not provided: REASON <TEXT>",
        "42601: unrecognized FREEZE option \"till\"",
        "42704: unrecognized configuration parameter \"search_path\"",
    ] {
        assert!(ran.err.contains(told), "{told}: {ran:?}");
    }
    // What stood in front of the mistake was done and is answered, what stood behind it was not.
    let ran = set.psql("ann", "SHOW frostgate.state; BOGUS; FREEZE REASON 'x'");
    assert_eq!((ran.code, ran.out.as_str()), (1, "open"), "{ran:?}");
    assert_eq!(set.proxy.state(), "open");
}

#[test]
fn the_console_is_there_while_the_server_is_not_and_counts_as_no_session() {
    let server = Postgres::start();
    let set = set(&upstream(&server), USERS, "");
    let database = server.database();
    assert_eq!(set.proxy.psql(&database, &["-c", "SELECT 1"]).code, 0);
    set.proxy.freeze();
    server.down();
    let status = set.ann("SHOW STATUS");
    assert_eq!((value(&status, "state"), value(&status, "sessions")), ("frozen".into(), "0".into()));
    let opened = set.ann("THAW");
    assert!(opened.starts_with("open|"), "{opened}");
    let frozen = set.ann("FREEZE REASON 'the server is away'");
    assert!(frozen.starts_with("frozen|"), "{frozen}");
    assert_eq!(set.ann("SHOW SESSIONS"), "");
    assert_eq!(set.proxy.status()["sessions"], 0);
}

#[test]
fn there_are_places_for_the_console_when_max_connections_is_reached() {
    let server = Postgres::shared();
    let more = "[limits]\nmax_connections = 2";
    let set = set(&upstream(server), &format!("{USERS}\nmax_connections = 1"), more);
    let database = server.database();
    let _taken = [set.proxy.connect(&database), set.proxy.connect(&database)];
    let full = set.proxy.psql(&database, &["-c", "SELECT 1"]);
    assert!(full.err.contains("sorry, too many clients already"), "{full:?}");
    assert_eq!(set.ann("SHOW frostgate.state"), "open");

    // The console's own places are counted too, and who only looks can't keep out who thaws.
    let mut first = set.command("bob", "");
    let mut first = first.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    first.stdin.as_mut().unwrap().write_all(b"SHOW frostgate.state;\n").unwrap();
    let mut line = String::new();
    BufReader::new(first.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "open\n");
    let second = set.psql("bob", "HELP");
    assert!(second.code == 2 && second.err.contains("sorry, too many clients already"), "{second:?}");
    assert!(second.err.contains("console.max_connections"), "{second:?}");
    assert_eq!(set.ann("SHOW frostgate.state"), "open");
    drop(first.stdin.take());
    assert!(first.wait().unwrap().success());
    eventually("its place", || (set.psql("bob", "HELP").code == 0).then_some(()));
}

#[test]
fn a_database_of_that_name_is_reached_where_there_is_no_console_or_it_has_another_name() {
    let server = Postgres::start();
    server.sql("postgres", "CREATE DATABASE frostgate");
    let none = Proxy::spawn(&server);
    assert_eq!(none.psql("frostgate", &["-c", "SELECT current_database()"]).out, "frostgate");
    let other = set(&upstream(&server), &format!("database = 'window'\n{USERS}"), "");
    assert_eq!(other.proxy.psql("frostgate", &["-c", "SELECT current_database()"]).out, "frostgate");
    let ran = Ran::of(
        &other.command("ann", "dbname=window").args(["-c", "SHOW frostgate.state"]).output().unwrap(),
    );
    assert_eq!(ran.out, "open", "{ran:?}");
    let same = set(&upstream(&server), USERS, "");
    let ran = same.proxy.psql_maintenance("frostgate", &["-c", "SELECT current_database()"]);
    assert_eq!(ran.out, "frostgate", "by the maintenance listener there is no console: {ran:?}");
}

#[test]
fn the_console_speaks_tls_and_binds_its_login_to_the_certificate() {
    let secure = Secure::shared();
    let more = format!(
        "[tls]\nmode = 'require'\ncert = '{}'\nkey = '{}'",
        secure.file("second.crt"),
        secure.file("second.key")
    );
    let set = set(&upstream(secure.server), USERS, &more);
    for words in ["sslmode=require", "sslmode=require channel_binding=require"] {
        let ran = Ran::of(&set.command("ann", words).args(["-c", "SHOW frostgate.state"]).output().unwrap());
        assert_eq!(ran.out, "open", "{words}: {ran:?}");
    }
    let plain = Ran::of(&set.command("ann", "sslmode=disable").args(["-c", "HELP"]).output().unwrap());
    assert!(plain.err.contains("lets nobody in without TLS"), "{plain:?}");
}

async fn driver(set: &Set) -> Client {
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(set.proxy.port).user("ann").password("secret of ann").dbname("frostgate");
    let (client, connection) = config.connect(NoTls).await.unwrap();
    drop(tokio::spawn(async move { drop(connection.await) }));
    client
}

fn on_a_runtime(story: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(story);
}

#[test]
fn a_driver_asks_in_the_extended_protocol_too() {
    let set = plain();
    on_a_runtime(async {
        let mut client = driver(&set).await;
        let statement = client.prepare("SHOW frostgate.state").await.unwrap();
        assert_eq!(statement.columns()[0].name(), "frostgate.state");
        let state =
            async |client: &Client| client.query_one(&statement, &[]).await.unwrap().get::<_, String>(0);
        assert_eq!(state(&client).await, "open");
        let rows = client.query("FREEZE REASON 'driver'", &[]).await.unwrap();
        assert_eq!(rows[0].get::<_, &str>("state"), "frozen");
        drop(rows);
        assert_eq!(state(&client).await, "frozen");
        // Once for each name that is kept, and many times more than that one after another.
        for _ in 0..300 {
            assert_eq!(client.query("SHOW STATUS", &[]).await.unwrap()[0].get::<_, &str>("value"), "frozen");
        }
        let mut kept = Vec::new();
        let full = loop {
            match client.prepare("HELP").await {
                Ok(statement) => kept.push(statement),
                Err(error) => break error,
            }
        };
        assert_eq!((full.code(), kept.len()), (Some(&SqlState::PROGRAM_LIMIT_EXCEEDED), 99));
        drop(kept);
        // A block fails as the server's would, and ends with ROLLBACK.
        let block = client.transaction().await.unwrap();
        assert_eq!(block.query("BOGUS", &[]).await.unwrap_err().code(), Some(&SqlState::SYNTAX_ERROR));
        let failed = block.simple_query("SHOW STATUS").await.unwrap_err();
        assert_eq!(failed.code(), Some(&SqlState::IN_FAILED_SQL_TRANSACTION));
        block.rollback().await.unwrap();
        let thawed = client.simple_query("THAW").await.unwrap();
        assert!(matches!(&thawed[1], SimpleQueryMessage::Row(row) if row.get("state") == Some("open")));
    });
}

#[test]
fn a_text_or_a_message_that_is_too_long_is_refused() {
    let set = plain();
    on_a_runtime(async {
        let client = driver(&set).await;
        let reason = "x".repeat(17 * 1024);
        let long = client.simple_query(&format!("FREEZE REASON '{reason}'")).await.unwrap_err();
        assert_eq!(long.code(), Some(&SqlState::PROGRAM_LIMIT_EXCEEDED), "{long}");
        let words = client.simple_query(&"x ".repeat(2_000)).await.unwrap_err();
        assert_eq!(words.code(), Some(&SqlState::SYNTAX_ERROR), "{words}");
        assert_eq!(client.query("HELP", &[]).await.unwrap()[0].get::<_, &str>(0), "SHOW STATUS");
        let message = client.simple_query(&"x".repeat(80 * 1024)).await.unwrap_err();
        assert_eq!(message.code(), Some(&SqlState::PROTOCOL_VIOLATION), "{message}");
        assert!(client.simple_query("HELP").await.is_err(), "the connection has ended");
    });
    assert_eq!(set.ann("SHOW frostgate.state"), "open");
}

/// A raw client, logged in as ann.
fn raw(set: &Set) -> Wire {
    let mut wire = Wire::open(set.proxy.port);
    wire.send(&StartupMessage::new(&[("user", "ann"), ("database", "frostgate")]).encode());
    let password = Credential::Password(b"secret of ann".to_vec());
    let mut answering = Answering::new("ann".into(), password, None, [7; RANDOM]);
    loop {
        let message = wire.next().unwrap();
        match message.tag {
            'R' => match answering.hear(&message.body).unwrap() {
                Answer::None => {}
                Answer::Say(answer) => wire.send(&answer),
                Answer::Derive(derivation) => wire.send(&answering.derived(&derivation.run()).unwrap()),
            },
            'Z' => return wire,
            'E' => panic!("{}", message.told()),
            _ => {}
        }
    }
}

#[test]
fn what_breaks_the_protocol_ends_that_connection_and_no_other() {
    let set = plain();
    let mut steady = raw(&set);
    for rows in [i32::MAX, -1] {
        steady.say(|out| {
            out.parse("", "HELP").bind("", "");
        });
        let execute = message(b'E', &[&b"\0"[..], &rows.to_be_bytes()].concat());
        steady.send(&[execute, message(b'S', b"")].concat());
        let answer = short(&steady.until('Z'));
        assert!(answer.starts_with("12DDD") && answer.ends_with("DC I"), "{answer}");
    }
    for breach in [
        message(b'B', b""),
        message(b'B', b"\0\0\xff\xff"),
        message(b'B', b"\0\0\0\x01"),
        message(b'B', b"\0\0\0\0\0\x01\xff\xff\xff\xfe"),
        message(b'P', b""),
        message(b'P', b"x"),
        message(b'P', b"\0HELP\0\xff\xff"),
        message(b'D', b""),
        message(b'D', b"X\0"),
        message(b'C', b""),
        message(b'E', b""),
        message(b'E', b"\0\0"),
        message(b'Q', b""),
        message(b'Q', b"\xff\xfe\0"),
        message(b'Q', b"HELP\0more"),
        message(b'p', b"password\0"),
        message(b'f', b""),
        message(b'?', b"what"),
        vec![b'Q', 0, 0, 0, 3],
        vec![b'Q', 0x7f, 0xff, 0xff, 0xff],
    ] {
        let mut client = raw(&set);
        client.send(&[breach.clone(), message(b'S', b"")].concat());
        // It is answered or ended.
        while client.next().is_some_and(|answer| answer.tag != 'Z') {}
        assert_eq!(steady.value("SHOW frostgate.state"), "open", "{breach:?}");
        assert!(!set.proxy.log().contains("panicked"), "{breach:?}");
    }
}
