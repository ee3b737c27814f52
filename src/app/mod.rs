//! Wiring: builds every part from the configuration, starts the tasks and the worker threads, and stops them in
//! reverse order. Owns the clock.

mod clock;
mod descriptors;
mod doors;
mod error;
mod manager;
mod signals;
mod watching;
mod workers;

pub use clock::{default_state_dir, is_root, local_now};
pub use error::AppError;
pub use manager::Environment;

use crate::{
    config::{Config, Conninfo},
    connection::Hosts,
    console::Console,
    control::{Operator, OperatorParts, Reread, Watched, WindowParts},
    fleet::{Entrance, Order, Orphans, PidLog, Records, StateFile, Switch},
    freeze::{FreezeRequest, FreezeState},
    listener::{Desks, Door},
    monitor::{Monitor, Principal},
    net::{Keeper, Servers, Shared},
    observe::{Audit, LabelBook, Watch, WorkerCounters, Writers},
    tls::Doorway,
};
use clock::now;
use manager::ServiceManager;
use std::{
    io::{self, IsTerminal as _},
    path::Path,
    sync::Arc,
    thread,
    time::Duration,
};
use tokio::{
    runtime::{Builder, Handle},
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};
use tracing_subscriber::EnvFilter;

/// How often a stopping process looks whether all sessions have left.
const LEAVING: Duration = Duration::from_millis(20);
/// For the doors to be closed, and for sessions that were ended to close their connections.
const LAST_MOMENTS: Duration = Duration::from_secs(1);

/// What `serve` is told beside the configuration.
#[derive(Debug, Clone, Copy)]
pub struct Start {
    /// Start frozen.
    pub frozen: bool,
    /// Where a service manager that has started us says how it is to be told.
    pub environment: Environment,
}

/// Serves until a signal ends it; `reread` is what SIGHUP asks for the configuration.
///
/// # Errors
/// Something that is needed can't be had.
pub fn serve(config: Config, start: Start, reread: Reread) -> Result<(), AppError> {
    let system = |what| move |source| AppError::System { what, source };
    let runtime = Builder::new_current_thread().enable_all().build().map_err(system("start a runtime"))?;
    runtime.block_on(run(config, start, reread))
}

/// Logs go to standard error; `FROSTGATE_LOG` says how much (`info`, `debug`, `frostgate::net=trace` …).
pub fn log_to_stderr() {
    let filter = EnvFilter::try_from_env("FROSTGATE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let ansi = io::stderr().is_terminal();
    let started =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(ansi).try_init();
    // A second call, as tests may make it, finds the first one's.
    drop(started);
}

async fn run(config: Config, start: Start, reread: Reread) -> Result<(), AppError> {
    let config = Arc::new(config);
    descriptors::raise(config.limits.max_connections);
    let manager = Arc::new(ServiceManager::find(start.environment));
    let store = StateFile::open(&config.state_dir)?;
    let state_durable = is_durable(store.folder());
    let (state, start_fault) = load_state(&store, start)?;
    let records = Records::open(&store)?;
    // Sockets are made before any other thread is there: the mode of a file is set by a mask of the process.
    let opened = doors::open_doors(&config).await?;
    let control = doors::bind_control(&config.control)?;
    let switch = Arc::new(Switch::new(state, config.rules.clone(), now()));
    let (pids, orphans) = open_pids(&store)?;
    let (watch, seen) = Watch::new();
    let labels = Arc::new(LabelBook::default());
    let window = window_parts(&config, records, &opened)?;
    let writers = Arc::new(Writers::new(now(), config.audit_sql));
    let Peers { servers, keeper, doorway } = Peers::read(&config, orphans)?;
    let threads = config.threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
    let counters: Vec<Arc<WorkerCounters>> = (0..threads).map(|_| Arc::default()).collect();
    let operator = Arc::new(Operator::new(OperatorParts {
        switch: Arc::clone(&switch),
        store,
        state_durable,
        start_fault,
        clock: now,
        sink: Box::new(watching::write_line),
        audit: Audit::new(config.audit_interval, config.audit_sql),
        labels: Arc::clone(&labels),
        writers: Arc::clone(&writers),
        watch: watch.clone(),
        counters: counters.clone(),
        watched: watched(&config, &servers)?,
        servers: Arc::clone(&servers),
        expect: config.expect.clone(),
        window,
        reread,
    }));
    let shared = Shared {
        config: Arc::clone(&config),
        switch,
        watch,
        labels,
        servers,
        keeper,
        writers,
        doorway,
        pids,
    };
    let console = open_console(&config, &operator, &shared)?;
    let hosts = Hosts { operator: Arc::clone(&operator), console: console.clone() };
    let (ticker, seconds) = watch::channel(0);
    let desks = workers::start_workers(&shared, &hosts, counters.clone(), &seconds)?;
    let mut tasks = JoinSet::new();
    drop(tasks.spawn(workers::tick(ticker)));
    tell_started(&operator, &opened, &shared);
    let (closer, closing) = watch::channel(());
    let entrances = opened.ordinary.into_iter().map(|door| (door, Entrance::Ordinary));
    let desks = Desks::new(desks, &config.limits, console.is_some());
    let doors = entrances.chain(opened.maintenance.map(|door| (door, Entrance::Maintenance)));
    let let_in = |source| AppError::System { what: "let in who comes", source };
    desks.open(doors, closing).await.map_err(let_in)?;
    doors::spawn_control(&mut tasks, &operator, control, opened.http);
    watching::spawn_watchers(&mut tasks, &operator, &shared, seen);
    operator.resume();
    manager::spawn_tellers(&mut tasks, &manager, (&operator, &shared.switch), counters);
    signals::until_stopped(&operator, &shared, &manager, console.as_ref()).await?;
    stop(tasks, &closer, &operator, &shared).await;
    Ok(())
}

/// Where its users are named, there is a console.
fn open_console(
    config: &Config,
    operator: &Arc<Operator>,
    shared: &Shared,
) -> Result<Option<Arc<Console>>, AppError> {
    let Some(settings) = config.console.clone() else { return Ok(None) };
    let console = Console::new(settings, Arc::clone(operator), shared.clone(), local_now, Handle::current())?;
    Ok(Some(Arc::new(console)))
}

/// New connections first, then those that are idle; what is busy has until the time limit.
async fn stop(mut tasks: JoinSet<()>, closer: &watch::Sender<()>, operator: &Operator, shared: &Shared) {
    tracing::info!("stopping");
    closer.send_replace(());
    // A worker that hangs shall not keep the process from stopping.
    drop(timeout(LAST_MOMENTS, closer.closed()).await);
    tasks.shutdown().await;
    leave(shared, shared.config.limits.shutdown_timeout).await;
    if shared.switch.roster().is_empty() {
        shared.pids.close(shared.servers.orphans());
    }
    // The socket's file has no use any more; if it is gone already, so much the better.
    drop(std::fs::remove_file(&shared.config.control));
    operator.tell("stopped", serde_json::json!({ "state": operator.phase() }));
}

/// The log of process ids; what the process before this one left in it are orphans.
fn open_pids(store: &StateFile) -> Result<(Arc<PidLog>, Orphans), AppError> {
    let (pids, orphans) = PidLog::open(store)?;
    for (server, left) in &orphans {
        tracing::warn!(server, count = left.len(), "a process before this one left server sessions behind");
    }
    Ok((Arc::new(pids), orphans))
}

/// Nothing is connected yet.
fn window_parts(config: &Config, records: Records, opened: &doors::Doors) -> Result<WindowParts, AppError> {
    let settings = config.window.clone();
    let new =
        |info: &Conninfo| Principal::new(info.clone(), "frostgate smoke", config.limits.connect_timeout);
    let smoke = settings.smoke.as_ref().map(|smoke| smoke.conninfos.as_slice()).unwrap_or_default();
    let mut principals = smoke.iter().map(new).collect::<Result<Vec<_>, _>>()?;
    let mut lookers = Vec::new();
    if let [only] = config.upstreams.all() {
        if principals.is_empty() {
            principals.extend(only.monitor.as_ref().map(new).transpose()?);
        }
    } else {
        for upstream in config.upstreams.all() {
            lookers.push((upstream.name.clone(), upstream.monitor.as_ref().map(new).transpose()?));
        }
    }
    let maintenance = opened.maintenance.as_ref().map(Door::name);
    Ok(WindowParts { settings, records, principals, lookers, maintenance })
}

/// Each server with its monitor. Nothing is connected yet.
fn watched(config: &Config, servers: &Servers) -> Result<Vec<Watched>, AppError> {
    let mut all = Vec::new();
    for (settings, server) in config.upstreams.all().iter().zip(servers.all()) {
        let monitor = settings.monitor.clone().map(|info| Monitor::new(info, config.limits.connect_timeout));
        all.push(Watched::new(Arc::clone(server), monitor.transpose()?));
    }
    Ok(all)
}

/// The parts that are made from files of certificates, keys and secrets.
struct Peers {
    servers: Arc<Servers>,
    keeper: Arc<Keeper>,
    doorway: Option<Arc<Doorway>>,
}

impl Peers {
    fn read(config: &Config, orphans: Orphans) -> Result<Self, AppError> {
        let servers = Servers::new(config, orphans)?;
        for server in servers.lost().keys() {
            tracing::error!(
                server,
                "a process before this one left sessions on a server that is not configured any more by that name in \
                 that place: nobody can tell whether they still write, and a freeze waits for them; configure it so \
                 again, or, when you know that they have ended, remove its lines from the file sessions in the state \
                 directory while frostgate is stopped"
            );
        }
        let keeper = Keeper::new(config.auth.clone())?;
        let doorway = config.tls.clone().map(Doorway::new).transpose()?.map(Arc::new);
        Ok(Self { servers: Arc::new(servers), keeper: Arc::new(keeper), doorway })
    }
}

/// The first line of the audit: where everything listens.
fn tell_started(operator: &Operator, opened: &doors::Doors, shared: &Shared) {
    let facts = serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"),
        "state": operator.phase(),
        "listen": opened.ordinary.iter().map(Door::name).collect::<Vec<_>>(),
        "maintenance_listen": opened.maintenance.as_ref().map(Door::name),
        "http": opened.http.as_ref().map(Door::name),
        "control": shared.config.control,
        "upstream": shared.config.upstreams.to_string(),
    });
    operator.tell("started", facts);
}

/// The state to start in, and why it is not the one on disk, if so.
fn load_state(store: &StateFile, start: Start) -> Result<(FreezeState, Option<String>), AppError> {
    let loaded = store.load(now());
    if let Some(fault) = &loaded.fault {
        tracing::error!(fault, "starting frozen");
    }
    let mut state = loaded.state;
    if start.frozen && state.freeze.is_none() {
        let request = FreezeRequest {
            reason: "started with --frozen".into(),
            by: "frostgate".into(),
            until: None,
            scope: Vec::new(),
        };
        (state, _) = state.freeze(request, now());
    }
    if loaded.fault.is_some() || start.frozen {
        store.save(&state)?;
    }
    Ok((state, loaded.fault))
}

/// Asks all sessions to leave, and ends those that have not when the time is over.
async fn leave(shared: &Shared, limit: Duration) {
    let ask = |order| {
        for record in shared.switch.roster().all() {
            record.give(order);
        }
    };
    ask(Order::Leave);
    let empty = async {
        while !shared.switch.roster().is_empty() {
            sleep(LEAVING).await;
        }
    };
    if timeout(limit, empty).await.is_err() {
        ask(Order::Kill);
        sleep(LAST_MOMENTS).await;
    }
}

/// Whether a file system survives a restart of the machine; if not, that is logged. Source: `statfs(2)`, the magic numbers of tmpfs,
/// ramfs and overlayfs.
fn is_durable(folder: &Path) -> bool {
    const VOLATILE: [i64; 3] = [0x0102_1994, 0x8584_58f6, 0x794c_7630];
    let is_durable = rustix::fs::statfs(folder).is_ok_and(|data| !VOLATILE.contains(&data.f_type));
    if !is_durable {
        tracing::warn!(
            state_dir = %folder.display(),
            "the state directory is on a volatile file system: a freeze would not survive a restart of the machine"
        );
    }
    is_durable
}
