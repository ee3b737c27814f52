//! As a service of systemd: what the service manager is told, over a real datagram socket as systemd has it, and what
//! systemd's own tools say of the unit.

use crate::support::{Postgres, Proxy, binary, eventually, tool, upstream};
use frostgate::wire::startup::StartupMessage;
use std::{
    fs,
    io::{self, Write as _},
    net::TcpStream,
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixDatagram},
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// The service manager's end: what came so far, a variable each.
struct Manager {
    socket: UnixDatagram,
    told: Vec<String>,
}

impl Manager {
    fn on(socket: UnixDatagram) -> Self {
        socket.set_nonblocking(true).unwrap();
        Self { socket, told: Vec::new() }
    }

    /// In a folder; and how it is called.
    fn at_path(folder: &TempDir) -> (Self, String) {
        let path = folder.path().join("notify");
        (Self::on(UnixDatagram::bind(&path).unwrap()), path.to_str().unwrap().into())
    }

    /// Everything that has come.
    fn told(&mut self) -> &[String] {
        let mut datagram = [0; 4096];
        loop {
            match self.socket.recv(&mut datagram) {
                Ok(length) => {
                    let text = String::from_utf8(datagram[..length].to_vec()).unwrap();
                    self.told.extend(text.lines().map(str::to_owned));
                }
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    return &self.told;
                }
            }
        }
    }

    /// Waits for a variable whose text begins so, among what has come since it was last forgotten.
    fn hears(&mut self, front: &str) -> String {
        eventually(front, || self.told().iter().find(|text| text.starts_with(front)).cloned())
    }

    fn forget(&mut self) {
        self.told();
        self.told.clear();
    }
}

fn started(name: &str) -> Proxy {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(binary());
    command.env("NOTIFY_SOCKET", name);
    Proxy::started_by(command, folder, &upstream(Postgres::shared()), &[])
}

#[test]
fn the_service_manager_hears_of_readiness_each_state_a_reload_and_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let (mut manager, name) = Manager::at_path(&folder);
    let proxy = started(&name);
    let database = Postgres::shared().database();
    manager.hears("READY=1");
    manager.hears("STATUS=open");
    let mut writer = proxy.connect(&database);
    assert_eq!(writer.ask("BEGIN; INSERT INTO t VALUES (1)"), "CC T");
    let ran = proxy.run(&["freeze", "--reason", "storage move", "--by", "ann", "--until", "1h", "--no-wait"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let draining = manager.hears("STATUS=draining since 20");
    assert!(draining.contains("Z by ann, until 20") && draining.ends_with("Z: storage move"), "{draining}");
    assert_eq!(writer.ask("COMMIT"), "C I");
    manager.hears("STATUS=frozen since 20");

    manager.forget();
    proxy.signal("HUP");
    manager.hears("READY=1");
    let told = manager.told().to_vec();
    assert_eq!((told[0].as_str(), told[2].as_str()), ("RELOADING=1", "READY=1"), "{told:?}");
    let at: u64 = told[1].strip_prefix("MONOTONIC_USEC=").unwrap().parse().unwrap();
    let uptime = fs::read_to_string("/proc/uptime").unwrap();
    let now: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
    let passed = now - Duration::from_micros(at).as_secs_f64();
    assert!((-1.0..60.0).contains(&passed), "the reload was {passed} s ago by the machine's own clock");

    proxy.thaw();
    manager.hears("STATUS=open");
    proxy.signal("TERM");
    manager.hears("STOPPING=1");
    drop(proxy.ended());
}

#[test]
fn an_abstract_socket_is_as_good_as_a_path() {
    let name = format!("frostgate-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let mut manager = Manager::on(UnixDatagram::bind_addr(&address).unwrap());
    let _proxy = started(&format!("@{name}"));
    manager.hears("READY=1");
}

#[test]
fn a_service_manager_that_is_not_there_keeps_nobody_from_the_database() {
    let proxy = started("/nowhere/notify");
    assert_eq!(proxy.connect(&Postgres::shared().database()).ask("SELECT 1"), "TDC I");
    eventually("it is logged", || proxy.log().contains("can't be told anything").then_some(()));
}

/// Pings while it lives; then a worker is made to hang, as one does that waits for a log that nobody reads.
#[test]
fn the_watchdog_is_fed_until_a_worker_hangs() {
    let folder = tempfile::tempdir().unwrap();
    let (mut manager, name) = Manager::at_path(&folder);
    let (unread, mut log) = io::pipe().unwrap();
    // A pipe holds 64 KiB: what is left is enough for the lines of the start, and soon full.
    log.write_all(&vec![b'x'; 60_000]).unwrap();
    let mut command = Command::new(binary());
    command.env("NOTIFY_SOCKET", &name).env("WATCHDOG_USEC", "4000000");
    let folder = tempfile::tempdir().unwrap();
    let proxy =
        Proxy::logging_to(log, command, folder, &["--upstream", "host=127.0.0.1 port=1", "--threads", "2"]);
    manager.hears("WATCHDOG=1");
    manager.forget();
    manager.hears("WATCHDOG=1");
    // Each connection that comes to nothing is a line of the log; nobody waits for an answer.
    let said = StartupMessage::new(&[("user", "nobody"), ("database", "nothing")]).encode();
    let hanging: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut stream = TcpStream::connect(("127.0.0.1", proxy.port)).unwrap();
            stream.write_all(&said).unwrap();
            stream
        })
        .collect();
    let mut last = Instant::now();
    eventually("silence", || {
        if manager.told().iter().any(|text| text == "WATCHDOG=1") {
            manager.forget();
            last = Instant::now();
        }
        (last.elapsed() > Duration::from_secs(5)).then_some(())
    });
    // The thread that feeds it lives: it is the worker that has hung.
    assert_eq!(proxy.state(), "open");
    drop((unread, hanging));
}

fn unit() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/systemd/frostgate.service")
}

/// The unit with the program that was built, as the one that it names is not installed.
fn unit_with_our_program(folder: &TempDir) -> PathBuf {
    let text = fs::read_to_string(unit()).unwrap();
    let ours = text.replace("/usr/local/bin/frostgate", binary().to_str().unwrap());
    assert_ne!(text, ours);
    let file = folder.path().join("frostgate.service");
    fs::write(&file, ours).unwrap();
    file
}

#[test]
fn systemd_takes_the_unit_and_calls_it_safe() {
    let Some(analyze) = tool("systemd-analyze") else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = unit_with_our_program(&folder);
    let run = |arguments: &[&str]| {
        let output = Command::new(&analyze).args(arguments).arg(&file).stdin(Stdio::null()).output().unwrap();
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert!(output.status.success(), "{arguments:?}: {}", said.concat());
        said.concat()
    };
    let said = run(&["verify", "--man=no"]);
    assert!(!said.contains("frostgate.service"), "{said}");
    // 0 is a process that can do nothing, 100 one that can do all.
    run(&["security", "--offline=true", "--threshold=20"]);
}

#[test]
fn the_unit_gives_the_proxy_more_time_to_stop_than_the_proxy_takes() {
    let text = fs::read_to_string(unit()).unwrap();
    let seconds = |key: &str| -> u64 {
        text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap().parse().unwrap()
    };
    let raw = frostgate::config::RawConfig::parse("upstream = 'host=x'").unwrap();
    let config = frostgate::config::Config::check(raw, "/state".into()).unwrap();
    assert!(Duration::from_secs(seconds("TimeoutStopSec")) > config.limits.shutdown_timeout);
    assert!(seconds("WatchdogSec") >= 4, "workers beat once a second, and the pulse is felt four times");
}
