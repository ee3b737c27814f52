//! The proxy as its users have it: a process, its verbs, its log. It stops when it is dropped, and shows its log
//! when the test fails.

use super::{Postgres, Wire, eventually, given};
use serde_json::Value;
use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex},
    thread,
};
use tempfile::TempDir;

pub(crate) struct Proxy {
    /// None: it is not ours.
    child: Option<Child>,
    pub(crate) folder: TempDir,
    pub(crate) port: u16,
    pub(crate) maintenance: PathBuf,
    pub(crate) http: u16,
    audit: Arc<Mutex<Vec<Value>>>,
}

/// What a verb came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        Self {
            code: output.status.code().unwrap_or(-1),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

impl Proxy {
    /// In front of that server.
    pub(crate) fn spawn(server: &Postgres) -> Self {
        Self::with(&upstream(server), &[])
    }

    /// An open one in front of the shared server, for a test that asks nothing else of it: that of the environment, or
    /// one of our own.
    pub(crate) fn open() -> Self {
        let Some(port) = given::proxy() else { return Self::spawn(Postgres::shared()) };
        let folder = tempfile::tempdir().unwrap();
        let maintenance = folder.path().join("none");
        Self { child: None, folder, port, maintenance, http: 0, audit: Arc::default() }
    }

    /// With more arguments.
    pub(crate) fn with(upstream: &str, more: &[&str]) -> Self {
        Self::in_folder(tempfile::tempdir().unwrap(), upstream, more)
    }

    /// In a folder that holds a state already.
    pub(crate) fn in_folder(folder: TempDir, upstream: &str, more: &[&str]) -> Self {
        Self::started_by(Command::new(binary()), folder, upstream, more)
    }

    /// By a command that takes the program's arguments.
    pub(crate) fn started_by(command: Command, folder: TempDir, upstream: &str, more: &[&str]) -> Self {
        Self::start(command, folder, &[&["--upstream", upstream], more].concat())
    }

    /// With a file, in a folder that may hold a state already.
    pub(crate) fn configured(folder: TempDir, file: &str) -> Self {
        let path = folder.path().join("frostgate.toml");
        fs::write(&path, file).unwrap();
        Self::start(Command::new(binary()), folder, &["--config", path.to_str().unwrap()])
    }

    fn start(command: Command, folder: TempDir, more: &[&str]) -> Self {
        let log = fs::File::options().create(true).append(true).open(folder.path().join("log")).unwrap();
        Self::logging_to(log, command, folder, more)
    }

    /// With its log there.
    pub(crate) fn logging_to(
        log: impl Into<Stdio>,
        mut command: Command,
        folder: TempDir,
        more: &[&str],
    ) -> Self {
        let maintenance = folder.path().join(".s.PGSQL.1");
        let mut child = command
            .args(["serve", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"])
            .arg("--maintenance-listen")
            .arg(&maintenance)
            .arg("--state-dir")
            .arg(folder.path().join("state"))
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let Some(Ok(first)) = lines.next() else {
            let log = fs::read_to_string(folder.path().join("log")).unwrap();
            panic!("the proxy did not start: {log}");
        };
        let started: Value = serde_json::from_str(&first).unwrap();
        let port = |address: &Value| address.as_str().unwrap().rsplit(':').next().unwrap().parse().unwrap();
        let audit = Arc::new(Mutex::new(vec![started.clone()]));
        let sink = Arc::clone(&audit);
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                sink.lock().unwrap().push(serde_json::from_str(&line).unwrap());
            }
        });
        Self {
            child: Some(child),
            port: port(&started["listen"][0]),
            http: port(&started["http"]),
            folder,
            maintenance,
            audit,
        }
    }

    /// Runs a verb.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(&self.verb(arguments).output().unwrap())
    }

    /// A verb that is to be started.
    pub(crate) fn verb(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(arguments).env("FROSTGATE_CONTROL", self.control()).stdin(Stdio::null());
        command
    }

    pub(crate) fn control(&self) -> PathBuf {
        self.folder.path().join("state/control.sock")
    }

    /// Freezes and is frozen.
    pub(crate) fn freeze(&self) {
        let ran = self.run(&["freeze", "--reason", "test"]);
        assert_eq!(ran.code, 0, "{ran:?}");
    }

    /// Shuts the gate and does not wait.
    pub(crate) fn shut(&self) {
        let ran = self.run(&["freeze", "--reason", "test", "--no-wait"]);
        assert_eq!(ran.code, 0, "{ran:?}");
    }

    pub(crate) fn thaw(&self) {
        let ran = self.run(&["thaw"]);
        assert_eq!(ran.code, 0, "{ran:?}");
    }

    pub(crate) fn status(&self) -> Value {
        self.run(&["status", "--json"]).json()
    }

    pub(crate) fn state(&self) -> String {
        self.status()["state"].as_str().unwrap().to_owned()
    }

    pub(crate) fn is_eventually(&self, state: &str) {
        eventually(state, || (self.state() == state).then_some(()));
    }

    /// A raw client, logged in.
    pub(crate) fn connect(&self, database: &str) -> Wire {
        Wire::connect(self.port, database)
    }

    /// psql with these arguments.
    pub(crate) fn psql(&self, database: &str, arguments: &[&str]) -> Ran {
        psql("127.0.0.1", self.port, database, arguments)
    }

    /// psql through the maintenance listener.
    pub(crate) fn psql_maintenance(&self, database: &str, arguments: &[&str]) -> Ran {
        let folder = self.folder.path();
        psql(folder.to_str().unwrap(), 1, database, arguments)
    }

    /// Audit lines of that event so far.
    pub(crate) fn audit(&self, event: &str) -> Vec<Value> {
        self.audit.lock().unwrap().iter().filter(|line| line["event"] == event).cloned().collect()
    }

    /// What the HTTP port answers: status line and body.
    pub(crate) fn http(&self, request_line: &str) -> (String, String) {
        let (head, body) = fetch(self.http, request_line).unwrap();
        (head.lines().next().unwrap().to_owned(), body)
    }

    /// The value of a metric, by its name with labels as it stands on the page.
    pub(crate) fn metric(&self, name: &str) -> Option<f64> {
        let (_, page) = self.http("GET /metrics");
        let line =
            page.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    fn id(&self) -> u32 {
        self.child.as_ref().expect("a proxy of our own").id()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([&format!("-{signal}"), &self.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits until the process has ended; its folder with what it left there.
    pub(crate) fn ended(mut self) -> TempDir {
        eventually("the end of the proxy", || self.child.as_mut().unwrap().try_wait().unwrap());
        std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap())
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// File descriptors that the process has open.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.id())).unwrap().count()
    }

    /// Memory that the process has, in KiB.
    pub(crate) fn memory_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended already.
            drop(child.kill());
            drop(child.wait());
        }
        if thread::panicking() {
            eprintln!("--- the proxy's log\n{}", self.log());
        }
    }
}

/// What answers on that port, if anything does: the head and the body.
pub(crate) fn fetch(port: u16, request_line: &str) -> Option<(String, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    write!(stream, "{request_line} HTTP/1.0\r\nhost: test\r\ncontent-length: 0\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    Some((head.to_owned(), body.to_owned()))
}

pub(crate) fn upstream(server: &Postgres) -> String {
    format!("host=127.0.0.1 port={}", server.port)
}

pub(crate) fn psql(host: &str, port: u16, database: &str, arguments: &[&str]) -> Ran {
    let output = Command::new("psql")
        .args(["-X", "-A", "-t", "-q", "-h", host, "-U", "postgres", "-p", &port.to_string(), "-d", database])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Ran::of(&output)
}

pub(crate) fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_frostgate"))
}
