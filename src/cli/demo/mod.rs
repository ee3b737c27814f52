//! `demo`: the whole story on this machine, with a throw-away PostgreSQL. Whatever it tells has been looked at;
//! the first thing that is not so ends it.

mod bypasser;
mod cast;
mod duel;
mod error;
mod evidence;
mod folder;
mod migration;
mod postgres;
mod programs;
mod proxy;
mod scene;
mod schema;
mod server;
mod stage;
mod story;
mod tally;
mod ways;

pub use error::DemoError;

use crate::cli::Exit;
use cast::Cast;
use evidence::Observer;
use folder::Folder;
use postgres::Postgres;
use proxy::Proxy;
use scene::Scene;
use server::Server;
use stage::{Stage, Tone};
use std::{
    env, fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::signal::unix::{SignalKind, signal};
use ways::Ways;

/// Lines of a log that are shown when the demo fails.
const LOG_LINES: usize = 15;

/// What has been started, and must be stopped whatever happens.
#[derive(Debug, Default)]
struct Running {
    server: Option<Server>,
    proxy: Option<Proxy>,
}

/// Plays the demo; with `keep`, leaves proxy and server running behind it.
///
/// # Errors
/// PostgreSQL is missing, or something that the demo would tell is not so.
pub async fn demo(keep: bool) -> Result<Exit, DemoError> {
    let mut stage = Stage::new();
    let postgres = Postgres::find(env::var_os("FROSTGATE_PG_BIN").map(PathBuf::from)).await?;
    let folder = Folder::make()?;
    let mut running = Running::default();
    let playing = Box::pin(perform(&mut stage, &postgres, &folder, &mut running));
    // What is interrupted is cleaned up below, as what failed is.
    let ended = tokio::select! {
        ended = playing => ended,
        ended = interrupted() => ended,
    };
    match &ended {
        Ok(ways) if keep => {
            tell_how_to_go_on(&stage, &folder, &running, ways)?;
            return Ok(Exit::Done);
        }
        Ok(_) | Err(DemoError::Interrupted { .. }) => {}
        Err(_) => show_logs(&folder),
    }
    clean_up(running, &folder).await?;
    ended.map(|_| Exit::Done)
}

async fn perform(
    stage: &mut Stage,
    postgres: &Postgres,
    folder: &Folder,
    running: &mut Running,
) -> Result<Arc<Ways>, DemoError> {
    let Running { server, proxy } = running;
    stage.line(&format!(
        "{} PostgreSQL {} from {},\nmade for this in {}; no other server is touched",
        stage.tint(Tone::Bold, "frostgate demo:"),
        postgres.version,
        postgres.bin().display(),
        folder.path().display()
    ))?;
    let password = folder::password()?;
    let owner = postgres::owner().await?;
    let server = server.insert(Server::start(postgres, folder, owner, &password).await?);
    server.wait().await?;
    schema::make(server, &password).await?;
    let proxy = proxy.insert(Proxy::start(folder, &server.conninfo(), &server.monitor())?);
    proxy.wait().await?;
    let ways = Arc::new(Ways::new(folder, postgres, proxy, &password)?);
    let observer = Observer::new(server.connect(cast::DATABASE).await?);
    let cast = Cast::enter(&ways);
    let mut scene = Scene { stage, server, proxy, ways: Arc::clone(&ways), cast, observer };
    story::play(&mut scene).await?;
    let claims = stage.claims();
    let held = stage.tint(Tone::Good, &format!("All {claims} claims of this demo were looked at, and held."));
    stage.line(&format!("\n{held}"))?;
    Ok(ways)
}

/// Waits for a signal that ends the demo.
async fn interrupted() -> Result<Arc<Ways>, DemoError> {
    let listen = |kind| {
        signal(kind).map_err(|source| DemoError::Start { program: "a watch for signals".into(), source })
    };
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hang_up = listen(SignalKind::hangup())?;
    // Each arm only waits.
    let signal = tokio::select! {
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
        _ = hang_up.recv() => "SIGHUP",
    };
    Err(DemoError::Interrupted { signal })
}

/// The proxy first: the server would wait for it.
async fn clean_up(running: Running, folder: &Folder) -> Result<(), DemoError> {
    if let Some(proxy) = running.proxy {
        proxy.stop().await;
    }
    if let Some(server) = running.server {
        server.stop().await;
    }
    folder.remove()
}

/// The last words of both, for who has to find out what went wrong. Standard error: it is no part of the story.
fn show_logs(folder: &Folder) {
    for path in [proxy::log_of(folder), server::log_of(folder)] {
        let text = fs::read_to_string(&path).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(LOG_LINES)..).unwrap_or_default();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // Who has closed standard error does not want to hear.
        drop(writeln!(io::stderr(), "\nthe last lines of {name}:\n{}", tail.join("\n")));
    }
}

fn tell_how_to_go_on(
    stage: &Stage,
    folder: &Folder,
    running: &Running,
    ways: &Ways,
) -> Result<(), DemoError> {
    let Running { server: Some(server), proxy: Some(proxy) } = running else { return Ok(()) };
    let ids =
        [proxy.process_id(), server.process_id()].map(|id| id.map_or_else(String::new, |id| id.to_string()));
    let stop = folder.join("stop.sh");
    let [proxy_id, server_id] = &ids;
    // QUIT is PostgreSQL's immediate shutdown; nothing in there is worth more.
    let script = format!(
        "kill {proxy_id}\nkill -QUIT {server_id}\n\
         while kill -0 {proxy_id} 2>/dev/null || kill -0 {server_id} 2>/dev/null; do sleep 0.1; done\n\
         rm -rf '{}'\n",
        folder.path().display()
    );
    fs::write(&stop, script).map_err(|source| DemoError::File {
        act: "write",
        path: stop.clone(),
        source,
    })?;
    let addresses = proxy.addresses();
    let (host, port, http) = (&addresses.host, addresses.port, &addresses.http);
    let program = program();
    let shown = |path: &Path| path.display().to_string();
    stage.line(&format!(
        "\nProxy and server are left running. To play with them:\n\n\
         export PGPASSFILE={} FROSTGATE_CONTROL={}\n\
         psql -h {host} -p {port} -U shop shop\n\
         {program} freeze --reason \"trying it out\"\n\
         {program} status\n\
         {program} refused\n\
         {program} thaw\n\
         psql -h {} -U shop shop        # the maintenance listener\n\
         curl http://{http}/metrics\n\n\
         To stop both and remove everything:\n\n\
         sh {}",
        shown(ways.password_file()),
        shown(proxy.control()),
        shown(proxy.maintenance()),
        shown(&stop),
    ))
}

/// This program, as it is typed.
fn program() -> String {
    env::current_exe().map_or_else(|_| "frostgate".into(), |path| path.display().to_string())
}
