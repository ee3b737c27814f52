//! Several servers behind one proxy. Both of the pair number their processes by themselves, as on machines of their
//! own, and tests bring it about that two sessions have one number: whoever confused them would be seen.

use crate::support::{Message, Postgres, Proxy, Ran, Wire, eventually, short};
use frostgate::wire::startup::{CancelKey, StartupMessage};
use serde_json::Value;
use std::{
    fmt::Write as _,
    net::TcpListener,
    process::Stdio,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};
use tempfile::tempdir;

/// Two servers: `shop` is on the first, `ledger` on the second, where it is called `ledger_v2`.
struct Pair {
    a: Postgres,
    b: Postgres,
}

/// The pair, for one test at a time; none where servers can't have numbers of their own.
fn pair() -> Option<(&'static Pair, MutexGuard<'static, ()>)> {
    static PAIR: OnceLock<Option<Pair>> = OnceLock::new();
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let pair = PAIR.get_or_init(|| {
        let pair = Pair { a: Postgres::start_apart()?, b: Postgres::start_apart()? };
        for (server, database) in [(&pair.a, "shop"), (&pair.b, "ledger_v2")] {
            server.stop_with_this_process();
            server.sql("postgres", "ALTER SYSTEM SET autovacuum = off");
            server.sql("postgres", "SELECT pg_reload_conf()");
            server.sql("postgres", "CREATE ROLE monitor LOGIN IN ROLE pg_monitor");
            server.sql("postgres", &format!("CREATE DATABASE {database}"));
            server.sql(database, "CREATE TABLE t (a int)");
        }
        Some(pair)
    });
    let pair = pair.as_ref()?;
    // What the test before left would be a bypasser in this one.
    let others = "FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
    for (server, database) in [(&pair.a, "shop"), (&pair.b, "ledger_v2")] {
        server.sql("postgres", &format!("SELECT pg_terminate_backend(pid) {others}"));
        let count = || server.sql("postgres", &format!("SELECT count(*) {others}"));
        eventually("nobody is left", || (count() == "0").then_some(()));
        server.sql(database, "TRUNCATE t");
    }
    Some((pair, turn))
}

impl Pair {
    /// The file, with monitors on those servers that are named.
    fn file(&self, monitored: &str) -> String {
        let upstream = |name: &str, server: &Postgres| {
            let place = format!("host=127.0.0.1 port={}", server.port);
            let monitor = format!("monitor = '{place} user=monitor dbname=postgres'\n");
            let monitor = if monitored.contains(name) { monitor } else { String::new() };
            format!(
                "[[upstreams]]\nname = '{name}'\nconninfo = 'host=127.0.0.1 port={}'\n{monitor}",
                server.port
            )
        };
        let databases = "[[databases]]\nname = 'shop'\nupstream = 'a'\n\
                         [[databases]]\nname = 'ledger'\nupstream = 'b'\ndbname = 'ledger_v2'\n";
        [&upstream("a", &self.a), &upstream("b", &self.b), databases].concat()
    }

    fn proxy(&self, monitored: &str) -> Proxy {
        Proxy::configured(tempdir().unwrap(), &self.file(monitored))
    }
}

fn key(client: &Wire) -> &CancelKey {
    client.key.as_ref().unwrap()
}

/// One session made by each, both with one process id: the server that is behind is connected to until it is not.
fn with_one_number(mut first: impl FnMut() -> Wire, mut second: impl FnMut() -> Wire) -> (Wire, Wire) {
    let (mut one, mut other) = (first(), second());
    for _ in 0..1000 {
        match key(&one).process_id.cmp(&key(&other).process_id) {
            std::cmp::Ordering::Less => one = first(),
            std::cmp::Ordering::Greater => other = second(),
            std::cmp::Ordering::Equal => return (one, other),
        }
    }
    panic!("{:?} and {:?} never meet", one.key, other.key);
}

fn is_active(server: &Postgres) -> bool {
    let active = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep%' \
                  AND pid <> pg_backend_pid()";
    server.sql("postgres", active) == "1"
}

fn say(client: &mut Wire, sql: &str) {
    client.say(|out| {
        out.query(sql);
    });
}

/// What a server, or the proxy, says of a login to that database.
fn refused_login(port: u16, database: &str) -> Message {
    let mut wire = Wire::open(port);
    wire.send(&StartupMessage::new(&[("user", "postgres"), ("database", database)]).encode());
    loop {
        let message = wire.next().expect("an error");
        if message.tag == 'E' {
            return message;
        }
    }
}

fn verify(proxy: &Proxy, length: &str) -> (Ran, Value) {
    let ran = proxy.run(&["verify", "--for", length, "--json"]);
    let json = if ran.out.is_empty() { Value::Null } else { ran.json() };
    (ran, json)
}

fn violations(report: &Value) -> Vec<(String, String)> {
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let all =
        report["findings"].as_array().unwrap().iter().filter(|finding| finding["weight"] == "violation");
    all.map(|finding| (text(finding, "kind"), text(finding, "upstream"))).collect()
}

#[test]
fn each_database_goes_to_its_server_and_what_has_no_entry_does_not_exist() {
    let Some((pair, _turn)) = pair() else { return };
    let proxy = pair.proxy("");
    let asked = "SELECT current_database() || ' ' || inet_server_port()";
    assert_eq!(proxy.connect("shop").value(asked), format!("shop {}", pair.a.port));
    assert_eq!(proxy.connect("ledger").value(asked), format!("ledger_v2 {}", pair.b.port));
    let mut client = Wire::open(proxy.port);
    client.log_in(&[
        ("user", "postgres"),
        ("database", "ledger"),
        ("application_name", "books"),
        ("options", "-c work_mem=7MB"),
    ]);
    let kept = "SELECT current_setting('application_name') || ' ' || current_setting('work_mem')";
    assert_eq!(client.value(kept), "books 7MB", "all else of the start-up packet stays as it is");
    for unknown in ["nothing", "ledger_v2", "postgres"] {
        let (own, direct) = (refused_login(proxy.port, unknown), refused_login(pair.a.port, "nothing"));
        assert_eq!(own.told().replace(unknown, "nothing"), direct.told());
        assert_eq!((own.field(b'S'), own.field(b'C')), ("FATAL".into(), "3D000".into()));
    }
    let mut nobody = Wire::open(proxy.port);
    nobody.send(&StartupMessage::new(&[("user", "ann")]).encode());
    assert_eq!(
        nobody.next().unwrap().told(),
        "3D000 database \"ann\" does not exist",
        "a user's own is meant"
    );
}

#[test]
fn a_cancel_request_reaches_the_one_of_two_sessions_that_have_one_process_id() {
    let Some((pair, _turn)) = pair() else { return };
    let proxy = pair.proxy("");
    let (mut a, mut b) = with_one_number(|| proxy.connect("shop"), || proxy.connect("ledger"));
    for client in [&mut a, &mut b] {
        say(client, "SELECT pg_sleep(60)");
    }
    eventually("both sleep", || (is_active(&pair.a) && is_active(&pair.b)).then_some(()));
    let cancel = |key: &CancelKey| {
        let mut wire = Wire::open(proxy.port);
        wire.send(&key.request());
        assert_eq!(wire.next(), None);
    };
    cancel(&CancelKey { process_id: key(&a).process_id, secret: [7; 4].into() });
    cancel(key(&b));
    assert_eq!(short(&b.until('Z')), "TE57014 I");
    assert!(is_active(&pair.a), "the other one sleeps on");
    cancel(key(&a));
    assert_eq!(short(&a.until('Z')), "TE57014 I");
}

#[test]
fn a_freeze_is_of_all_servers_and_waits_for_a_writer_on_any_of_them() {
    let Some((pair, _turn)) = pair() else { return };
    let proxy = pair.proxy("");
    let (mut a, mut b) = with_one_number(|| proxy.connect("shop"), || proxy.connect("ledger"));
    for client in [&mut a, &mut b] {
        assert_eq!(client.ask("BEGIN; INSERT INTO t VALUES (1)"), "CC T");
    }
    proxy.shut();
    let holding_up = || {
        let status = proxy.status();
        let all = status["holding_up"].as_array().unwrap().iter();
        let mut names: Vec<String> = all.map(|who| who["upstream"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    eventually("both hold it up", || (holding_up() == ["a", "b"]).then_some(()));
    assert_eq!(a.ask("COMMIT"), "C I");
    eventually("one holds it up", || (holding_up() == ["b"]).then_some(()));
    assert_eq!(proxy.state(), "draining");
    let end = format!("SELECT pg_terminate_backend({}); -- on b", key(&b).process_id);
    assert_eq!(proxy.status()["holding_up"][0]["end_with"], end.as_str());
    assert_eq!(b.ask("COMMIT"), "C I");
    proxy.is_eventually("frozen");
    for client in [&mut a, &mut b] {
        assert_eq!(client.ask("INSERT INTO t VALUES (2)"), "E25006 I");
    }
    proxy.thaw();
    for client in [&mut a, &mut b] {
        assert_eq!(client.ask("INSERT INTO t VALUES (3)"), "C I");
    }
}

#[test]
fn a_straggler_is_cancelled_on_its_own_server_and_nobody_else_of_its_number_is() {
    let Some((pair, _turn)) = pair() else { return };
    let proxy = pair.proxy("");
    let exempt = || {
        let mut wire = Wire::open(pair.a.port);
        wire.log_in(&[("user", "postgres"), ("database", "shop")]);
        wire
    };
    let (mut a, mut b) = with_one_number(exempt, || proxy.connect("ledger"));
    say(&mut a, "SELECT pg_sleep(60)");
    say(&mut b, "INSERT INTO t SELECT 1 FROM pg_sleep(60)");
    eventually("both are at it", || (is_active(&pair.a) && is_active(&pair.b)).then_some(()));
    let ran = proxy.run(&[
        "freeze",
        "--reason",
        "x",
        "--drain-timeout",
        "100ms",
        "--stragglers",
        "rollback",
        "--no-wait",
    ]);
    assert_eq!(ran.code, 0, "{ran:?}");
    proxy.is_eventually("frozen");
    assert!(is_active(&pair.a), "who has the same number elsewhere goes on");
    assert_eq!(pair.b.rows("ledger_v2"), 0);
}

#[test]
fn a_freeze_of_one_database_leaves_the_other_server_open() {
    let Some((pair, _turn)) = pair() else { return };
    let proxy = pair.proxy("");
    let (mut a, mut b) = (proxy.connect("shop"), proxy.connect("ledger"));
    let ran = proxy.run(&["freeze", "--reason", "x", "--database", "ledger"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(b.ask("INSERT INTO t VALUES (1)"), "E25006 I", "it goes by the name that clients know");
    assert_eq!(a.ask("INSERT INTO t VALUES (1)"), "C I");
}

#[test]
fn a_freeze_of_databases_that_would_hold_for_nobody_is_refused() {
    let Some((pair, _turn)) = pair() else { return };
    let proxy = pair.proxy("");
    for (database, told) in [("ledger_v2", "--database ledger"), ("nothing", "no database is called nothing")]
    {
        let ran = proxy.run(&["freeze", "--reason", "x", "--database", database]);
        assert!(ran.code == 4 && ran.err.contains(told), "{ran:?}");
        assert_eq!(proxy.state(), "open");
    }
    assert_eq!(proxy.run(&["freeze", "--reason", "x", "--database", "ledger"]).code, 0);
}

#[test]
fn a_freeze_of_databases_is_refused_where_two_upstreams_may_be_one_server() {
    let server = Postgres::shared();
    let (port, database) = (server.port, server.database());
    let file = format!(
        "upstream = 'host=127.0.0.1 port={port}'\n[[upstreams]]\nname = 'b'\nconninfo = 'host=twin hostaddr=127.0.0.1 port={port}'\n\
         [[databases]]\nname = 'b'\nupstream = 'b'\ndbname = '{database}'\n"
    );
    let proxy = Proxy::configured(tempdir().unwrap(), &file);
    for database in [database.as_str(), "b"] {
        proxy.connect(database).ask("SELECT 1");
    }
    let identity = |at: usize| proxy.status()["upstreams"][at]["server"].as_str().map(str::to_owned);
    eventually("both are known", || identity(0).and(identity(1)));
    let ran = proxy.run(&["freeze", "--reason", "x", "--database", "b"]);
    assert!(ran.code == 4 && ran.err.contains("have one system identifier"), "{ran:?}");
    assert_eq!(proxy.run(&["freeze", "--reason", "x"]).code, 0, "of all, nobody is left out");
}

#[test]
fn a_stage_that_fails_where_two_upstreams_turned_out_to_be_one_server_leaves_nobody_open() {
    let server = Postgres::shared();
    let (port, database, elsewhere) = (server.port, server.database(), server.database());
    let file = |stage: &str| {
        format!(
            "upstream = 'host=127.0.0.1 port={port}'\n[[upstreams]]\nname = 'b'\n\
             conninfo = 'host=twin hostaddr=127.0.0.1 port={port}'\n[[databases]]\nname = 'b'\nupstream = 'b'\n\
             dbname = '{elsewhere}'\n[[reopen]]\nname = 'some'\n{stage}\ndwell_ms = 60000\nmax_refused = 0\n"
        )
    };
    let other = format!("database = '{database}'");
    // Where all of the scope is in force nobody has to look at it again; where some of it is not, all are frozen.
    for (stage, scope) in [("user = 'adm'", 2), (other.as_str(), 0)] {
        let proxy = Proxy::configured(tempdir().unwrap(), &file(stage));
        for database in [database.as_str(), "b"] {
            let ran = proxy.run(&["freeze", "--reason", "x", "--database", database]);
            assert_eq!(ran.code, 0, "nobody can know yet: {ran:?}");
        }
        assert_eq!(proxy.run(&["reopen", "--no-wait"]).code, 0);
        let (mut one, mut twin) = (proxy.connect(&database), proxy.connect("b"));
        one.ask("SELECT 1");
        twin.ask("SELECT 1");
        let identity = |at: usize| proxy.status()["upstreams"][at]["server"].as_str().map(str::to_owned);
        eventually("both are known", || identity(0).and(identity(1)));
        assert_eq!(twin.ask("INSERT INTO t VALUES (1)"), "E25006 I");
        let told = eventually("the end of the reopening", || proxy.audit("reopen").first().cloned());
        assert_eq!(told["outcome"], "failed", "{told}");
        let status = proxy.status();
        assert_eq!(status["thawed"], serde_json::json!([]), "{status}");
        assert_eq!(status["scope"].as_array().map(Vec::len), Some(scope), "{status}");
        assert_eq!(one.ask("INSERT INTO t VALUES (1)"), "E25006 I");
    }
}

#[test]
fn a_server_that_is_away_leaves_the_other_one_at_work() {
    let Some((pair, _turn)) = pair() else { return };
    let proxy = pair.proxy("");
    let (mut a, mut b) = (proxy.connect("shop"), proxy.connect("ledger"));
    pair.b.down();
    while b.next().is_some() {}
    let away = refused_login(proxy.port, "ledger");
    assert!(away.told().contains("can't connect to the server"), "{}", away.told());
    assert_eq!(a.ask("INSERT INTO t VALUES (1)"), "C I");
    let up = |name: &str| proxy.metric(&format!("frostgate_upstream_up{{upstream=\"{name}\"}}"));
    assert_eq!((up("a"), up("b")), (Some(1.0), Some(0.0)));
    let status = proxy.status();
    assert_eq!((&status["upstream_up"], &status["upstreams"][0]["is_up"]), (&false.into(), &true.into()));
    assert!(proxy.run(&["status"]).out.contains("CAN'T BE REACHED"));
    proxy.freeze();
    assert_eq!(refused_login(proxy.port, "ledger").field(b'C'), "57P03");
    assert_eq!(a.ask("SELECT 1"), "TDC I");
    pair.b.up();
    assert_eq!(proxy.connect("ledger").ask("INSERT INTO t VALUES (1)"), "E25006 I");
}

#[test]
fn what_a_killed_proxy_left_on_one_server_is_asked_of_that_one_only() {
    let Some((pair, _turn)) = pair() else { return };
    let proxy = pair.proxy("");
    let mut writer = proxy.connect("ledger");
    say(&mut writer, "INSERT INTO t SELECT 1 FROM pg_sleep(3)");
    eventually("it writes", || is_active(&pair.b).then_some(()));
    proxy.signal("KILL");
    let proxy = Proxy::configured(proxy.ended(), &pair.file(""));
    // Somebody of that number on the other server, and somebody who asks there, tell nothing.
    let pid = key(&writer).process_id;
    let mut a = proxy.connect("shop");
    while key(&a).process_id < pid {
        a = proxy.connect("shop");
    }
    let ran = proxy.run(&["freeze", "--reason", "x", "--drain-timeout", "300ms"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    let status = proxy.status();
    let of = |at: usize| status["upstreams"][at]["orphans"].as_u64();
    assert_eq!((status["orphans"].as_u64(), of(0), of(1)), (Some(1), Some(0), Some(1)));
    let _reader = proxy.connect("ledger");
    proxy.is_eventually("frozen");
    assert_eq!(pair.b.rows("ledger_v2"), 1, "it was committed before frozen was said");
}

#[test]
fn what_was_left_on_a_server_that_is_configured_no_more_keeps_from_frozen() {
    let Some((pair, _turn)) = pair() else { return };
    let proxy = pair.proxy("");
    let mut writer = proxy.connect("ledger");
    say(&mut writer, "INSERT INTO t SELECT 1 FROM pg_sleep(2)");
    eventually("it writes", || is_active(&pair.b).then_some(()));
    proxy.signal("KILL");
    let only_a = format!("upstream = 'host=127.0.0.1 port={}'\n", pair.a.port);
    let proxy = Proxy::configured(proxy.ended(), &only_a);
    let _reader = proxy.connect("shop");
    let ran = proxy.run(&["freeze", "--reason", "x", "--drain-timeout", "300ms"]);
    assert_eq!((ran.code, proxy.status()["orphans"].as_u64()), (3, Some(1)), "{ran:?}");
    assert!(proxy.run(&["status"]).out.contains("not configured any more"));
    assert!(proxy.log().contains("is not configured any more"));
    proxy.signal("TERM");
    // Who stops well does not forget them either.
    let proxy = Proxy::configured(proxy.ended(), &pair.file(""));
    let _reader = proxy.connect("ledger");
    proxy.is_eventually("frozen");
}

#[test]
fn what_was_left_on_a_server_whose_name_another_has_now_keeps_from_frozen() {
    let Some((pair, _turn)) = pair() else { return };
    let file = |server: &Postgres| format!("upstream = 'host=127.0.0.1 port={}'\n", server.port);
    let proxy = Proxy::configured(tempdir().unwrap(), &file(&pair.b));
    let mut writer = proxy.connect("ledger_v2");
    say(&mut writer, "INSERT INTO t SELECT 1 FROM pg_sleep(3)");
    eventually("it writes", || is_active(&pair.b).then_some(()));
    proxy.signal("KILL");
    let proxy = Proxy::configured(proxy.ended(), &file(&pair.a));
    let _reader = proxy.connect("shop");
    let ran = proxy.run(&["freeze", "--reason", "x", "--drain-timeout", "300ms"]);
    assert_eq!((ran.code, proxy.status()["orphans"].as_u64()), (3, Some(1)), "{ran:?}");
    proxy.signal("TERM");
    let proxy = Proxy::configured(proxy.ended(), &file(&pair.b));
    let _reader = proxy.connect("ledger_v2");
    proxy.is_eventually("frozen");
    assert_eq!(pair.b.rows("ledger_v2"), 1, "it was committed before frozen was said");
}

#[test]
fn a_thaw_and_a_stop_wait_for_no_server_that_is_silent() {
    let silent: Vec<TcpListener> = (0..3).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let mut file = String::new();
    for (at, listener) in silent.iter().enumerate() {
        let place = format!("host=127.0.0.1 port={}", listener.local_addr().unwrap().port());
        write!(
            file,
            "[[upstreams]]\nname = 'u{at}'\nconninfo = '{place}'\nmonitor = '{place} user=m'\n\
             [[databases]]\nname = 'd{at}'\nupstream = 'u{at}'\n"
        )
        .unwrap();
    }
    let proxy = Proxy::configured(tempdir().unwrap(), &file);
    assert_eq!(proxy.run(&["freeze", "--reason", "x", "--no-wait"]).code, 0);
    let begin = Instant::now();
    assert_eq!(proxy.run(&["thaw"]).code, 0);
    assert!(begin.elapsed() < Duration::from_secs(8), "one limit for all of them: {:?}", begin.elapsed());
    assert_eq!(proxy.run(&["freeze", "--reason", "x", "--no-wait"]).code, 0);
    let begin = Instant::now();
    proxy.signal("USR2");
    proxy.signal("HUP");
    proxy.signal("TERM");
    drop(proxy.ended());
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
}

#[test]
fn quiet_is_never_said_of_servers_that_nobody_looks_at() {
    let Some((pair, _turn)) = pair() else { return };
    let proxy = pair.proxy("a");
    let ran = proxy.run(&["freeze", "--reason", "x", "--require-quiet"]);
    assert_eq!((ran.code, proxy.state().as_str()), (4, "open"), "{ran:?}");
    assert!(ran.err.contains("the server b is quiet"), "{ran:?}");
    proxy.freeze();
    let (ran, report) = verify(&proxy, "300ms");
    assert_eq!((ran.code, report["quiet"].as_str()), (1, Some("not_checked")), "{ran:?}");
    let of = |at: usize| report["upstreams"][at]["quiet"].as_str();
    assert_eq!((of(0), of(1)), (Some("verified"), Some("not_checked")));
    let told = proxy.run(&["verify", "--for", "0s"]);
    assert!(told.out.contains("b: nobody can tell whether it is quiet: it has no monitor"), "{told:?}");
    let status = proxy.status();
    assert_eq!(status["quiet"], "not_checked");
    assert_eq!(status["check"]["problem"], "b: it has no monitor");
    assert_eq!(proxy.metric("frostgate_quiet{verdict=\"verified\"}"), Some(0.0));
    assert!(proxy.run(&["status"]).out.contains("quiet: not_checked, as it has no monitor"));
}

#[test]
fn a_bypasser_is_found_though_a_client_on_the_other_server_has_its_process_id() {
    let Some((pair, _turn)) = pair() else { return };
    let proxy = pair.proxy("ab");
    proxy.freeze();
    let (ran, report) = verify(&proxy, "300ms");
    assert_eq!((ran.code, report["quiet"].as_str()), (0, Some("verified")), "{ran:?}");
    let direct = || Wire::connect(pair.b.port, "ledger_v2");
    let (_a, mut bypasser) = with_one_number(|| proxy.connect("shop"), direct);
    let (ran, report) = verify(&proxy, "300ms");
    assert_eq!((ran.code, violations(&report)), (7, vec![("bypasser".into(), "b".into())]), "{ran:?}");
    let found = &report["findings"][0];
    assert_eq!(found["who"]["pid"], key(&bypasser).process_id);
    let stop = found["stop_with"].as_str().unwrap();
    assert!(stop.ends_with("; -- on b"), "{stop}");
    assert_eq!(proxy.metric("frostgate_bypassers"), Some(1.0));
    pair.b.sql("postgres", stop);
    while bypasser.next().is_some() {}
    assert_eq!(verify(&proxy, "300ms").0.code, 0, "it has been stopped");
}

#[test]
fn what_the_maintenance_listener_writes_on_one_server_explains_nothing_on_the_other() {
    let Some((pair, _turn)) = pair() else { return };
    let proxy = pair.proxy("ab");
    proxy.freeze();
    // The monitor's own last look: when it began.
    let looked = "SELECT max(query_start) FROM pg_stat_activity WHERE usename = 'monitor'";
    let last_look = || pair.b.sql("postgres", looked);
    eventually("the monitor is there", || (!last_look().is_empty()).then_some(()));
    let before = last_look();
    let mut command = proxy.verb(&["verify", "--for", "3s", "--json"]);
    let watching = command.stdout(Stdio::piped()).spawn().unwrap();
    eventually("it looks", || (last_look() != before).then_some(()));
    let ran = proxy.psql_maintenance("shop", &["-c", "INSERT INTO t VALUES (1)"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    pair.b.sql("ledger_v2", "INSERT INTO t VALUES (1)");
    let ran = Ran::of(&watching.wait_with_output().unwrap());
    assert_eq!(ran.code, 7, "{ran:?}");
    let report = ran.json();
    assert!(violations(&report).iter().all(|(_, upstream)| upstream == "b"), "{report}");
    assert_eq!(report["upstreams"][0]["quiet"], "verified", "there it is explained");
}

#[test]
fn another_server_in_the_place_of_one_of_them_needs_a_thaw_that_accepts_it() {
    let (a, b) = (Postgres::shared(), Postgres::start());
    let file = |port: u16| {
        format!(
            "upstream = 'host=127.0.0.1 port={}'\n[[upstreams]]\nname = 'b'\nconninfo = 'host=127.0.0.1 port={port}'\n\
             monitor = 'host=127.0.0.1 port={port} user=postgres'\n[[databases]]\nname = 'ledger'\nupstream = 'b'\n\
             dbname = 'postgres'\n",
            a.port
        )
    };
    let port = b.port;
    let proxy = Proxy::configured(tempdir().unwrap(), &file(port));
    let identity = |at: usize| proxy.status()["upstreams"][at]["server"].as_str().map(str::to_owned);
    let mut client = proxy.connect("postgres");
    client.ask("SELECT 1");
    let (own, before) = (eventually("a is known", || identity(0)), eventually("b is known", || identity(1)));
    proxy.freeze();
    proxy.signal("KILL");
    let folder = proxy.ended();
    drop(b);
    let b = Postgres::start_on(port);
    let proxy = Proxy::configured(folder, &file(port));
    let told = eventually("it is another one", || {
        proxy.status()["upstreams"][1]["server_at_freeze"].as_str().map(str::to_owned)
    });
    assert_eq!(told, before);
    assert_eq!(proxy.status()["upstreams"][0]["server_at_freeze"], Value::Null);
    assert_eq!(proxy.metric("frostgate_server_changed"), Some(1.0));
    proxy.signal("KILL");
    let proxy = Proxy::configured(proxy.ended(), &file(port).replace("'b'", "'c'"));
    let ran = proxy.run(&["thaw"]);
    assert_eq!(ran.code, 4, "another name does not make it the one that was frozen: {ran:?}");
    assert!(ran.err.contains("the server b that was frozen") && !ran.err.contains(&own), "{ran:?}");
    proxy.signal("KILL");
    let proxy = Proxy::configured(proxy.ended(), &file(port));
    eventually("b is known", || proxy.status()["upstreams"][1]["server_at_freeze"].as_str().map(|_| ()));
    let ran = proxy.run(&["thaw"]);
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.err.contains("the server b is another one") && !ran.err.contains(&own), "{ran:?}");
    assert_eq!(proxy.run(&["thaw", "--accept-new-server"]).code, 0);
    drop(b);
}
