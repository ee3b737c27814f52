//! The instant: dozens of writers in every style, hundreds of freezes and thaws, clients, server sessions and the
//! proxy itself killed at random. Then the server's own commit timestamps are looked at: nothing was committed
//! between the answer of `freeze` and the request of `thaw`, and nothing is missing that a client was told had
//! succeeded.
//!
//! `FROSTGATE_TORTURE_SECONDS` (default 15) and `FROSTGATE_TORTURE_SEED` (printed) say how long and which.
#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "what is compared are wall clocks")]

#[path = "../it/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the stories of tests/it use all of it")]
mod support;
mod writers;

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use std::{
    fs,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use support::{Postgres, Ran, binary, eventually, free_port};
use writers::{STYLES, Writer};

const WRITERS: usize = 24;
/// The name of their threads.
const WRITER: &str = "writer";

/// A writer that meets the end of its connection panics in the middle of what it was at: that is its style.
fn quiet_writers() {
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if thread::current().name() != Some(WRITER) {
            told(panic);
        }
    }));
}

fn micros() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap()
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// The proxy, on ports that stay the same when it is killed and started again.
struct Victim {
    child: Mutex<Child>,
    folder: tempfile::TempDir,
    port: u16,
    upstream: String,
}

impl Victim {
    fn start(server: &Postgres) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (port, upstream) = (free_port(), format!("host=127.0.0.1 port={}", server.port));
        let child = Self::spawn(&folder, port, &upstream);
        let victim = Self { child: Mutex::new(child), folder, port, upstream };
        victim.is_up();
        victim
    }

    fn spawn(folder: &tempfile::TempDir, port: u16, upstream: &str) -> Child {
        let log = fs::File::options().create(true).append(true).open(folder.path().join("log")).unwrap();
        Command::new(binary())
            .args([
                "serve",
                "--upstream",
                upstream,
                "--listen",
                &format!("127.0.0.1:{port}"),
                "--http",
                "off",
            ])
            .arg("--state-dir")
            .arg(folder.path().join("state"))
            .env("FROSTGATE_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    fn is_up(&self) {
        eventually("the proxy answers", || (self.verb(&["status"]).code == 0).then_some(()));
    }

    fn verb(&self, arguments: &[&str]) -> Ran {
        let control = self.folder.path().join("state/control.sock");
        let output = Command::new(binary()).args(arguments).env("FROSTGATE_CONTROL", control).output();
        Ran::of(&output.unwrap())
    }

    fn kill_and_start_again(&self) {
        let mut child = self.child.lock().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        *child = Self::spawn(&self.folder, self.port, &self.upstream);
        drop(child);
        self.is_up();
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap();
        // It may have ended already.
        drop(child.kill());
        drop(child.wait());
        if thread::panicking() {
            eprintln!("--- the proxy's log\n{}", fs::read_to_string(self.folder.path().join("log")).unwrap());
        }
    }
}

const SCHEMA: &str = "
    CREATE TABLE rows (id bigint PRIMARY KEY, style text);
    CREATE TABLE later (id bigint PRIMARY KEY);
    CREATE FUNCTION put(n bigint, s text) RETURNS bigint LANGUAGE sql AS 'INSERT INTO rows VALUES (n, s) RETURNING id';
    CREATE FUNCTION put_later() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN INSERT INTO rows VALUES (NEW.id, ''deferred''); RETURN NEW; END';
    CREATE CONSTRAINT TRIGGER put_later AFTER INSERT ON later DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION put_later();";

/// A freeze that was answered with success, and the thaw that ended it.
#[derive(Debug, Clone, Copy)]
struct Frozen {
    from: u64,
    to: u64,
}

/// Freezes and thaws until the time is over; now and then it kills.
fn operate(
    victim: &Victim,
    server: &Postgres,
    database: &str,
    rng: &mut StdRng,
    until: Instant,
) -> (Vec<Frozen>, u32) {
    let (mut intervals, mut kills) = (Vec::new(), 0);
    while Instant::now() < until {
        thread::sleep(Duration::from_millis(rng.random_range(5..60)));
        let stragglers = if rng.random_bool(0.5) { "rollback" } else { "keep" };
        let arguments = [
            "freeze",
            "--reason",
            "torture",
            "--drain-timeout",
            "2s",
            "--stragglers",
            stragglers,
            "--running-reads",
            "cancel",
        ];
        if rng.random_bool(0.1) {
            // The gate is shut, and the process dies in the middle of the drain.
            victim.verb(&["freeze", "--reason", "torture", "--no-wait"]);
            thread::sleep(Duration::from_millis(rng.random_range(0..5)));
            victim.kill_and_start_again();
            kills += 1;
        }
        let frozen = victim.verb(&arguments).code == 0;
        let from = micros();
        thread::sleep(Duration::from_millis(rng.random_range(5..40)));
        match rng.random_range(0..12) {
            0 => {
                victim.kill_and_start_again();
                kills += 1;
            }
            1..=3 => {
                let sql = format!(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}' \
                     AND pid <> pg_backend_pid() ORDER BY random() LIMIT 3"
                );
                server.sql("postgres", &sql);
                kills += 1;
            }
            _ => {}
        }
        let to = micros();
        if frozen {
            intervals.push(Frozen { from, to });
        }
        eventually("a thaw", || (victim.verb(&["thaw"]).code == 0).then_some(()));
    }
    (intervals, kills)
}

/// Every row's id with the instant of its commit, in microseconds since 1970.
fn commits(server: &Postgres, database: &str) -> Vec<(u64, u64)> {
    let sql = "SELECT id || ' ' || (extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000000)::bigint FROM rows \
               UNION ALL SELECT id || ' ' || (extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000000)::bigint FROM later";
    let told = server.sql(database, sql);
    let pair = |line: &str| {
        let (id, at) = line.split_once(' ').unwrap();
        (id.parse().unwrap(), at.parse().unwrap())
    };
    told.lines().map(pair).collect()
}

#[test]
fn nothing_is_committed_between_the_answer_of_freeze_and_the_request_of_thaw() {
    let seconds = number("FROSTGATE_TORTURE_SECONDS", 15);
    let seed = number("FROSTGATE_TORTURE_SEED", micros());
    println!("torture: FROSTGATE_TORTURE_SEED={seed} FROSTGATE_TORTURE_SECONDS={seconds}");
    quiet_writers();
    let server = Postgres::start();
    let database = server.database();
    server.sql(&database, SCHEMA);
    let victim = Victim::start(&server);
    let (stop, ids) = (AtomicBool::new(false), AtomicU64::new(1));
    let told: Arc<Mutex<Vec<u64>>> = Arc::default();
    let until = Instant::now() + Duration::from_secs(seconds);
    let (intervals, kills) = thread::scope(|scope| {
        for n in 0..WRITERS {
            let writer = Writer {
                port: victim.port,
                database: &database,
                style: STYLES[n % STYLES.len()],
                stop: &stop,
                ids: &ids,
                told: &told,
                rng: StdRng::seed_from_u64(seed.wrapping_add(u64::try_from(n).unwrap() + 1)),
            };
            thread::Builder::new().name(WRITER.into()).spawn_scoped(scope, move || writer.run()).unwrap();
        }
        let mut rng = StdRng::seed_from_u64(seed);
        let operated = operate(&victim, &server, &database, &mut rng, until);
        stop.store(true, Ordering::Relaxed);
        operated
    });
    let commits = commits(&server, &database);
    let told = told.lock().unwrap().clone();
    println!(
        "torture: {} freezes that were answered with success, {kills} kills, {} commits, {} told to clients",
        intervals.len(),
        commits.len(),
        told.len()
    );
    let inside: Vec<_> = commits
        .iter()
        .filter(|(_, at)| intervals.iter().any(|frozen| (frozen.from..=frozen.to).contains(at)))
        .collect();
    assert!(inside.is_empty(), "committed while frozen: {inside:?} in {intervals:?}");
    let there: std::collections::HashSet<u64> = commits.iter().map(|(id, _)| *id).collect();
    let missing: Vec<_> = told.iter().filter(|id| !there.contains(id)).collect();
    assert!(missing.is_empty(), "told to have succeeded, and not there: {missing:?}");
    assert!(
        intervals.len() > usize::try_from(seconds / 2).unwrap(),
        "too few freezes came to an end to show anything"
    );
    assert!(told.len() > 100, "too few writes to show anything");
}
