//! A throw-away cluster: made by initdb as a user that is not root, on a free port, gone when the tests are.

use super::given;
use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};
use tempfile::TempDir;

pub(crate) struct Postgres {
    pub(crate) port: u16,
    pub(crate) folder: TempDir,
    bin: PathBuf,
    apart: Option<Apart>,
}

/// A server that numbers its processes by itself, as one on another machine does.
struct Apart {
    /// `unshare` with what it needs here; what follows runs apart, and ends with it.
    way: Vec<&'static str>,
    process: Mutex<Option<Child>>,
}

impl Apart {
    fn find() -> Option<Self> {
        let namespace = ["unshare", "--pid", "--fork", "--kill-child"];
        for user in [&[][..], &["--user"]] {
            let way = [&namespace[..], user].concat();
            let tried = Command::new(way[0]).args(&way[1..]).arg("true").stderr(Stdio::null()).status();
            if tried.is_ok_and(|status| status.success()) {
                return Some(Self { way, process: Mutex::default() });
            }
        }
        println!("SKIPPED: a server with process ids of its own needs unshare(1) and the right to use it");
        None
    }
}

static SHARED: OnceLock<Postgres> = OnceLock::new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

impl Postgres {
    /// The one that most tests share: that of the environment, or one of our own. Each makes its own database.
    pub(crate) fn shared() -> &'static Self {
        SHARED.get_or_init(|| {
            if let Some(port) = given::server() {
                let folder = tempfile::tempdir().unwrap();
                return Self { port, folder, bin: PathBuf::new(), apart: None };
            }
            let server = Self::start();
            server.stop_with_this_process();
            server
        })
    }

    /// One that asks nobody for a password, for tests that hand out a way to log in: the shared one, if it is ours.
    pub(crate) fn trusting() -> &'static Self {
        static OWN: OnceLock<Postgres> = OnceLock::new();
        if given::server().is_none() {
            return Self::shared();
        }
        OWN.get_or_init(|| {
            let server = Self::start();
            server.stop_with_this_process();
            server
        })
    }

    /// One of its own, for a test that stops it, changes its settings, or must be alone on it.
    pub(crate) fn start() -> Self {
        Self::start_on(free_port())
    }

    /// One of its own that numbers its processes by itself; none where the machine does not allow that.
    pub(crate) fn start_apart() -> Option<Self> {
        Some(Self::make(free_port(), Some(Apart::find()?)))
    }

    /// On that port, where another one may have been.
    pub(crate) fn start_on(port: u16) -> Self {
        Self::make(port, None)
    }

    fn make(port: u16, apart: Option<Apart>) -> Self {
        let folder = tempfile::Builder::new().prefix("frostgate-test-").tempdir().unwrap();
        // The server's user must reach its data.
        allow_all(folder.path());
        let server = Self { port, folder, bin: bin(), apart };
        let data = server.data();
        fs::create_dir(&data).unwrap();
        if is_root() {
            assert!(Command::new("chown").arg(server_user()).arg(&data).status().unwrap().success());
        }
        let mut initdb = server.as_server_user("initdb");
        initdb.args(["-D"]).arg(&data).args([
            "-U",
            "postgres",
            "--auth=trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ]);
        check(&initdb.output().unwrap());
        let settings = format!(
            "port={}\nlisten_addresses='127.0.0.1'\nunix_socket_directories='{}'\nfsync=off\nmax_connections=300\n\
             max_prepared_transactions=20\nwal_level=logical\nmax_wal_senders=10\nmax_replication_slots=10\n\
             track_commit_timestamp=on\n",
            server.port,
            server.folder.path().display()
        );
        let written = server
            .as_server_user("sh")
            .args(["-c", "printf %s \"$1\" >> \"$0/postgresql.conf\""])
            .arg(&data)
            .arg(settings)
            .output();
        check(&written.unwrap());
        server.up();
        server
    }

    pub(crate) fn up(&self) {
        if let Some(apart) = &self.apart {
            return self.up_apart(apart);
        }
        let log = self.data().join("log");
        let mut command = self.as_server_user("pg_ctl");
        command.arg("-D").arg(self.data()).args(["-w", "-s", "-l"]).arg(log).arg("start");
        // What the server inherits would keep the test's own output open.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        assert!(command.status().unwrap().success(), "the server does not start");
    }

    fn up_apart(&self, apart: &Apart) {
        let server = self.as_server_user("postgres");
        // The first process of its own numbers waits for the server: it would be sent what is meant for nobody.
        let mut command = Command::new(apart.way[0]);
        command.args(&apart.way[1..]).args(["sh", "-c", "\"$@\" & wait", "sh"]).arg(server.get_program());
        command.args(server.get_args()).arg("-D").arg(self.data()).current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        *apart.process.lock().unwrap() = Some(command.spawn().unwrap());
        let is_ready = ["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()];
        super::eventually("the server is up", || {
            self.as_server_user("pg_isready").args(is_ready).status().unwrap().success().then_some(())
        });
    }

    fn down_apart(apart: &Apart) {
        if let Some(mut process) = apart.process.lock().unwrap().take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    pub(crate) fn down(&self) {
        if let Some(apart) = &self.apart {
            return Self::down_apart(apart);
        }
        let mut command = self.as_server_user("pg_ctl");
        command.arg("-D").arg(self.data()).args(["-w", "-s", "-m", "immediate", "stop"]);
        check(&command.output().unwrap());
    }

    /// A new database with a table `t (a int)`; its name.
    pub(crate) fn database(&self) -> String {
        let number = DATABASES.fetch_add(1, Ordering::Relaxed);
        // Somebody else's server has databases of other runs.
        let name = match given::server() {
            Some(_) => format!("frostgate_{}_{number}", std::process::id()),
            None => format!("db{number}"),
        };
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        self.sql(&name, "CREATE TABLE t (a int)");
        name
    }

    /// Runs statements directly, as the superuser; what they print, unaligned.
    pub(crate) fn sql(&self, database: &str, sql: &str) -> String {
        let output = Command::new("psql")
            .args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", "postgres"])
            .args(["-p", &self.port.to_string(), "-d", database, "-c", sql])
            .output()
            .unwrap();
        check(&output)
    }

    /// All that users made in a database, as a text; none where the `pg_dump` that is there is older than the server.
    pub(crate) fn dump(&self, database: &str) -> Option<String> {
        let mut command = self.as_server_user("pg_dump");
        command.args(["-h", "127.0.0.1", "-U", "postgres", "-p", &self.port.to_string(), database]);
        // A key that differs each time keeps psql's commands out since 15.14 and 18.0.
        let output = command.output().unwrap();
        if String::from_utf8_lossy(&output.stderr).contains("server version mismatch") {
            println!("SKIPPED: this pg_dump is older than the server");
            return None;
        }
        let text = check(&output);
        let lines = text
            .lines()
            .filter(|line| !line.starts_with("\\restrict ") && !line.starts_with("\\unrestrict "));
        Some(lines.collect::<Vec<_>>().join("\n"))
    }

    /// What every relation of a database holds, catalogs too: a line each, with a hash of all rows.
    pub(crate) fn contents(&self, database: &str) -> String {
        let hashes = "SELECT c.oid::regclass || ' ' || query_to_xml(format(
                'SELECT md5(string_agg(ROW(r.*)::text, E''\\n'' ORDER BY ROW(r.*)::text)) FROM %s AS r', c.oid::regclass),
                true, true, '')::text
            FROM pg_class AS c WHERE relkind IN ('r', 'm', 'S') AND relpersistence = 'p' ORDER BY c.oid";
        self.sql(database, hashes)
    }

    /// How many rows `t` has.
    pub(crate) fn rows(&self, database: &str) -> u32 {
        self.sql(database, "SELECT count(*) FROM t").parse().unwrap()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn as_server_user(&self, program: &str) -> Command {
        let path = self.bin.join(program);
        let program = if path.exists() { path } else { program.into() };
        if !is_root() {
            return Command::new(program);
        }
        let mut command = Command::new("setpriv");
        let user = server_user();
        command.args([&format!("--reuid={user}"), &format!("--regid={user}"), "--init-groups"]).arg(program);
        command.current_dir("/");
        command
    }

    /// Nothing of Rust's is run when a test binary ends: a shell waits for that and cleans up.
    pub(crate) fn stop_with_this_process(&self) {
        let script = "while kill -0 \"$1\" 2>/dev/null; do sleep 0.5; done; \
                      kill -QUIT \"${3:-$(head -n 1 \"$2/data/postmaster.pid\")}\"; sleep 1; rm -rf \"$2\"";
        let apart = self.apart.as_ref().and_then(|apart| Some(apart.process.lock().unwrap().as_ref()?.id()));
        let watcher = Command::new("sh")
            .args(["-c", script, "sh", &std::process::id().to_string()])
            .arg(self.folder.path())
            .args(apart.map(|id| id.to_string()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        // It outlives this process, which is the point of it.
        std::mem::forget(watcher.unwrap());
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(apart) = &self.apart {
            return Self::down_apart(apart);
        }
        let mut command = self.as_server_user("pg_ctl");
        command.arg("-D").arg(self.data()).args(["-w", "-s", "-m", "immediate", "stop"]);
        // It may have been stopped by the test.
        drop(command.output());
    }
}

fn bin() -> PathBuf {
    if let Some(bin) = std::env::var_os("FROSTGATE_PG_BIN") {
        return bin.into();
    }
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let version = path.file_name()?.to_str()?.parse().ok()?;
            path.join("bin/initdb").exists().then(|| (version, path.join("bin")))
        })
        .collect();
    found.sort();
    let newest = found.pop().map(|(_, path)| path);
    newest.expect("no PostgreSQL under /usr/lib/postgresql; install it, or name its programs' folder in FROSTGATE_PG_BIN")
}

pub(crate) fn is_root() -> bool {
    Command::new("id").arg("-u").output().unwrap().stdout == b"0\n"
}

fn server_user() -> &'static str {
    static USER: OnceLock<&'static str> = OnceLock::new();
    USER.get_or_init(|| {
        let has = |user| Command::new("id").arg(user).output().unwrap().status.success();
        if has("postgres") { "postgres" } else { "nobody" }
    })
}

fn allow_all(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap();
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn check(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    out.trim_end().to_owned()
}
