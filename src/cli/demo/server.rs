//! The throw-away server: made, started, asked from outside the proxy, stopped.

use super::{
    error::DemoError,
    folder::{Folder, Owner},
    postgres::Postgres,
    programs::{self, MAKING, SOON},
};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{
    process::{Child, Command},
    time::{sleep, timeout},
};
use tokio_postgres::{Client, Config, NoTls};

/// Its superuser.
pub(super) const SUPERUSER: &str = "dba";
/// Looks at it for the proxy, and can do nothing else.
pub(super) const MONITOR: &str = "frostgate_monitor";
/// Who looks past the proxy for the demo itself, by the name that it gives itself.
pub(super) const OBSERVER: &str = "observer";
/// Part of its socket's name; it listens on nothing else.
pub(super) const SOCKET_PORT: u16 = 5432;
/// How often it is looked whether something is there.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// What ends this late is killed.
const STOPPING: Duration = Duration::from_secs(10);

/// Autovacuum would take transaction ids of its own; the demo counts them.
const SETTINGS: &str = "
listen_addresses = ''
fsync = off
autovacuum = off
max_connections = 50
max_prepared_transactions = 5
shared_buffers = '16MB'
log_line_prefix = '%m [%p] %q%u@%d (%a) '
";

/// A running server of the demo's own.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    sockets: PathBuf,
    password: String,
}

impl Server {
    /// Makes a cluster in the folder and starts it; it answers a little later.
    pub(super) async fn start(
        postgres: &Postgres,
        folder: &Folder,
        owner: Option<Owner>,
        password: &str,
    ) -> Result<Self, DemoError> {
        let home = folder.private("server", owner)?;
        let given = folder.secret("server/password", password, owner)?;
        let (data, sockets) = (home.join("data"), home.join("sockets"));
        folder.private("server/sockets", owner)?;
        let run = |program| {
            let mut command = programs::command(postgres.bin().join(program));
            command.current_dir(&home);
            if let Some(owner) = owner {
                command.uid(owner.user).gid(owner.group);
            }
            command
        };
        programs::succeed(initdb(run("initdb"), &data, &given), MAKING).await?;
        let settings = data.join("postgresql.conf");
        let doubled = sockets.display().to_string().replace('\'', "''");
        let text = format!("{SETTINGS}unix_socket_directories = '{doubled}'\n");
        let written = fs::read_to_string(&settings).and_then(|old| fs::write(&settings, old + &text));
        written.map_err(|source| DemoError::File { act: "write", path: settings, source })?;
        let mut server = run("postgres");
        server.arg("-D").arg(&data);
        let log = log_of(folder);
        let child = programs::stay(server, &folder.join("server.out"), &log)?;
        Ok(Self { child, sockets, password: password.into() })
    }

    /// Waits until it answers.
    pub(super) async fn wait(&self) -> Result<(), DemoError> {
        let answering = async {
            while self.connect("template1").await.is_err() {
                sleep(LOOK_AGAIN).await;
            }
        };
        let what = || "the demo's PostgreSQL to answer".to_owned();
        let answered = timeout(MAKING, answering).await;
        answered.map_err(|_elapsed| DemoError::TooLate { what: what(), limit: MAKING })
    }

    /// What a proxy in front of it is told.
    pub(super) fn conninfo(&self) -> String {
        let escaped = self.sockets.display().to_string().replace('\\', "\\\\").replace('\'', "\\'");
        format!("host='{escaped}' port={SOCKET_PORT}")
    }

    /// The folder of its socket.
    pub(super) fn sockets(&self) -> &Path {
        &self.sockets
    }

    /// What the proxy's monitor is told; there is a password in it.
    pub(super) fn monitor(&self) -> String {
        format!("{} user={MONITOR} password={} dbname=postgres", self.conninfo(), self.password)
    }

    /// As the superuser, past the proxy: for those who look, and for what a read-only setting is tried on.
    pub(super) async fn connect(&self, database: &str) -> Result<Client, DemoError> {
        self.connect_as(SUPERUSER, database, OBSERVER).await
    }

    /// As somebody, past the proxy.
    pub(super) async fn connect_as(
        &self,
        user: &str,
        database: &str,
        application: &str,
    ) -> Result<Client, DemoError> {
        let mut config = Config::new();
        config.host_path(&self.sockets).port(SOCKET_PORT);
        config.user(user).password(&self.password).dbname(database).application_name(application);
        connect(&config).await
    }

    /// The process, for who wants to stop it by hand.
    pub(super) fn process_id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Stops it at once; nothing in it is worth a checkpoint. Source: manual, "Shutting Down the Server".
    pub(super) async fn stop(mut self) {
        end(&mut self.child, Signal::QUIT).await;
    }
}

/// The server's log.
pub(super) fn log_of(folder: &Folder) -> PathBuf {
    folder.join("server.log")
}

fn initdb(mut command: Command, data: &Path, password: &Path) -> Command {
    command.arg("-D").arg(data).arg("--pwfile").arg(password);
    command.args(["--username", SUPERUSER, "--auth", "scram-sha-256"]);
    command.args(["--encoding", "UTF8", "--locale", "C", "--no-sync"]);
    command
}

/// Connects, and drives the connection until its client is dropped.
pub(super) async fn connect(config: &Config) -> Result<Client, DemoError> {
    let to = format!("connecting as {}", config.get_user().unwrap_or_default());
    let connecting = timeout(SOON, config.connect(NoTls)).await;
    let connecting = connecting.map_err(|_elapsed| DemoError::TooLate { what: to.clone(), limit: SOON })?;
    let (client, connection) = connecting.map_err(|source| DemoError::Sql { what: to, source })?;
    // It ends with its client; what goes wrong on it, the client is told.
    drop(tokio::spawn(connection));
    Ok(client)
}

/// Asks a process to end, and ends it if it does not.
pub(super) async fn end(child: &mut Child, signal: Signal) {
    let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    // One that is gone already needs no signal.
    if id.is_some_and(|id| kill_process(id, signal).is_ok()) && timeout(STOPPING, child.wait()).await.is_ok()
    {
        return;
    }
    drop(child.kill().await);
}
