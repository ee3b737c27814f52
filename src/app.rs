//! Wiring: builds every part from the configuration, starts the tasks and the worker threads, and stops them in
//! reverse order. Owns the clock.

use crate::{
    config::{Address, Config},
    connection,
    control::{self, FreezeCall, Operator, OperatorParts, ThawCall},
    fleet::{Entrance, Order, StateFile, Switch},
    freeze::{FreezeRequest, FreezeState},
    listener::{Desk, Desks, Door, HANDOVER_LIMIT, Handover, bind_unix},
    net::{Shared, Upstream, Worker},
    observe::{Audit, Key, LabelBook, Seen, Tried, Watch, What, WorkerCounters},
};
use jiff::{Timestamp, Zoned};
use std::{
    hash::{BuildHasher as _, RandomState},
    io::{self, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    rc::Rc,
    sync::{Arc, atomic::AtomicUsize},
    thread,
    time::Duration,
};
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    task::{JoinSet, LocalSet},
    time::{interval, sleep},
};
use tracing_subscriber::EnvFilter;

/// How often transactions are dated and damped audit lines looked for.
const TICK: Duration = Duration::from_secs(1);
/// How often a stopping process looks whether all sessions have left.
const LEAVING: Duration = Duration::from_millis(20);

/// Why the process can't run.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// An address can't be listened on.
    #[error("{key}: can't listen on {address}")]
    Listen {
        /// The setting.
        key: &'static str,
        /// The address.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The state directory can't be used.
    #[error("state_dir")]
    State(#[from] crate::fleet::StoreError),
    /// The operating system would not give something.
    #[error("can't {what}")]
    System {
        /// What was wanted.
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// What `serve` is told beside the configuration.
#[derive(Debug, Clone, Copy)]
pub struct Start {
    /// Start frozen.
    pub frozen: bool,
}

/// Serves until a signal ends it.
///
/// # Errors
/// Something that is needed can't be had.
pub fn serve(config: Config, start: Start) -> Result<(), AppError> {
    let system = |what| move |source| AppError::System { what, source };
    let runtime = Builder::new_current_thread().enable_all().build().map_err(system("start a runtime"))?;
    runtime.block_on(run(config, start))
}

#[expect(clippy::disallowed_methods, reason = "this is where the clock is owned")]
fn now() -> Timestamp {
    Timestamp::now()
}

/// The time where this runs.
#[expect(clippy::disallowed_methods, reason = "this is where the clock is owned")]
pub fn local_now() -> Zoned {
    Zoned::now()
}

/// Whether this runs as root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
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

async fn run(config: Config, start: Start) -> Result<(), AppError> {
    let config = Arc::new(config);
    let store = StateFile::open(&config.state_dir)?;
    let state_durable = is_durable(store.folder());
    if !state_durable {
        tracing::warn!(
            state_dir = %store.folder().display(),
            "the state directory is on a volatile file system: a freeze would not survive a restart of the machine"
        );
    }
    let (state, start_fault) = load_state(&store, start)?;
    // Sockets are made before any other thread is there: the mode of a file is set by a mask of the process.
    let doors = open_doors(&config).await?;
    let control = bind_control(&config.control)?;
    let switch = Arc::new(Switch::new(state));
    let (watch, seen) = Watch::new();
    let labels = Arc::new(LabelBook::default());
    let upstream = Arc::new(Upstream::new(config.upstream.clone(), config.limits.connect_timeout));
    let threads = config.threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
    let counters: Vec<Arc<WorkerCounters>> = (0..threads).map(|_| Arc::default()).collect();
    let operator = Arc::new(Operator::new(OperatorParts {
        switch: Arc::clone(&switch),
        store,
        state_durable,
        start_fault,
        clock: now,
        sink: Box::new(write_line),
        audit: Audit::new(config.audit_interval, config.audit_sql),
        labels: Arc::clone(&labels),
        watch: watch.clone(),
        counters: counters.clone(),
        upstream: upstream.name(),
    }));
    let shared = Shared { config: Arc::clone(&config), switch, watch, labels, upstream };
    let desks = start_workers(&shared, &operator, counters)?;
    let mut tasks = JoinSet::new();
    let open = serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"),
        "state": operator.phase(),
        "listen": doors.ordinary.iter().map(Door::name).collect::<Vec<_>>(),
        "maintenance_listen": doors.maintenance.as_ref().map(Door::name),
        "http": doors.http.as_ref().map(Door::name),
        "control": config.control,
        "upstream": shared.upstream.name(),
    });
    operator.tell("started", open);
    let entrances = doors.ordinary.into_iter().map(|door| (door, Entrance::Ordinary));
    let desks = Desks::new(desks, config.limits.max_connections);
    for (door, entrance) in entrances.chain(doors.maintenance.map(|door| (door, Entrance::Maintenance))) {
        drop(tasks.spawn(door.run(entrance, desks.clone())));
    }
    drop(desks);
    spawn_control(&mut tasks, &operator, control, doors.http);
    drop(tasks.spawn(watch_relays(Arc::clone(&operator), seen)));
    drop(tasks.spawn(look_at_upstream(Arc::clone(&operator), shared.clone())));
    operator.resume();
    until_stopped(&operator).await?;
    tracing::info!("stopping");
    // New connections first, then those that are idle; what is busy has until the time limit.
    tasks.shutdown().await;
    leave(&shared, config.limits.shutdown_timeout).await;
    // The socket's file has no use any more; if it is gone already, so much the better.
    drop(std::fs::remove_file(&config.control));
    operator.tell("stopped", serde_json::json!({ "state": operator.phase() }));
    Ok(())
}

/// Signals: SIGUSR1 freezes, SIGUSR2 thaws, SIGHUP reloads, SIGTERM and SIGINT stop. Stopping never thaws.
async fn until_stopped(operator: &Arc<Operator>) -> Result<(), AppError> {
    let listen =
        |kind| signal(kind).map_err(|source| AppError::System { what: "listen for signals", source });
    let (mut freeze, mut thaw) = (listen(SignalKind::user_defined1())?, listen(SignalKind::user_defined2())?);
    let (mut reload, mut terminate) = (listen(SignalKind::hangup())?, listen(SignalKind::terminate())?);
    let mut interrupt = listen(SignalKind::interrupt())?;
    loop {
        // Each arm only waits: what is not chosen has lost nothing.
        tokio::select! {
            _ = freeze.recv() => {
                let call = FreezeCall {
                    reason: "signal".into(),
                    by: "signal".into(),
                    until: None,
                    drain: control::DrainOptions::default(),
                };
                if let Err(error) = operator.freeze(call).await {
                    tracing::error!(%error, "SIGUSR1");
                }
            }
            _ = thaw.recv() => {
                let call = ThawCall { reason: None, by: "signal".into() };
                if let Err(error) = operator.thaw(call).await {
                    tracing::error!(%error, "SIGUSR2");
                }
            }
            _ = reload.recv() => tracing::info!("nothing is reloaded: certificates and exceptions are not configured"),
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        }
    }
}

/// The state to start in, and why it is not the one on disk, if so.
fn load_state(store: &StateFile, start: Start) -> Result<(FreezeState, Option<String>), AppError> {
    let loaded = store.load(now());
    if let Some(fault) = &loaded.fault {
        tracing::error!(fault, "starting frozen");
    }
    let mut state = loaded.state;
    if start.frozen && state.freeze.is_none() {
        let request =
            FreezeRequest { reason: "started with --frozen".into(), by: "frostgate".into(), until: None };
        (state, _) = state.freeze(request, now());
    }
    if loaded.fault.is_some() || start.frozen {
        store.save(&state)?;
    }
    Ok((state, loaded.fault))
}

struct Doors {
    ordinary: Vec<Door>,
    maintenance: Option<Door>,
    http: Option<Door>,
}

async fn open_doors(config: &Config) -> Result<Doors, AppError> {
    let open = async |key, address: &Address, mode| {
        let listen = |source| AppError::Listen { key, address: address.to_string(), source };
        Door::open(address, mode).await.map_err(listen)
    };
    let mut ordinary = Vec::new();
    for address in &config.listen {
        // As PostgreSQL's own socket: whoever reaches it is asked who he is by the server.
        ordinary.push(open("listen", address, 0o777).await?);
    }
    let maintenance = match &config.maintenance_listen {
        Some(address) => Some(open("maintenance_listen", address, 0o600).await?),
        None => None,
    };
    let http = match &config.http {
        Some(address) => Some(open("http", address, 0o666).await?),
        None => None,
    };
    Ok(Doors { ordinary, maintenance, http })
}

fn bind_control(path: &Path) -> Result<tokio::net::UnixListener, AppError> {
    let listen = |source| AppError::Listen { key: "control", address: path.display().to_string(), source };
    bind_unix(path, 0o600).map_err(listen)
}

fn spawn_control(
    tasks: &mut JoinSet<()>,
    operator: &Arc<Operator>,
    control: tokio::net::UnixListener,
    http: Option<Door>,
) {
    let log = |served: Result<(), control::ControlError>| {
        if let Err(error) = served {
            tracing::error!(%error, "a listener of Frostgate's own failed");
        }
    };
    let routes = control::control_routes(Arc::clone(operator));
    drop(tasks.spawn(async move { log(control::serve_unix(control, routes).await) }));
    let routes = control::public_routes(Arc::clone(operator));
    match http {
        Some(Door::Tcp(http)) => {
            drop(tasks.spawn(async move { log(control::serve_tcp(http, routes).await) }))
        }
        Some(Door::Unix(http)) => {
            drop(tasks.spawn(async move { log(control::serve_unix(http, routes).await) }))
        }
        None => {}
    }
}

fn start_workers(
    shared: &Shared,
    operator: &Arc<Operator>,
    counters: Vec<Arc<WorkerCounters>>,
) -> Result<Vec<Desk>, AppError> {
    let mut desks = Vec::new();
    for (number, counters) in counters.into_iter().enumerate() {
        let (sender, receiver) = mpsc::channel(HANDOVER_LIMIT);
        desks.push(Desk { sender, load: Arc::new(AtomicUsize::new(0)) });
        // Unforeseeable to clients, as the standard library's own tables are.
        let seed = RandomState::new().hash_one(number);
        let (shared, operator) = (shared.clone(), Arc::clone(operator));
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| AppError::System { what: "start a worker", source })?;
        let started = thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
            let worker = Rc::new(Worker::new(shared, counters, seed));
            runtime.block_on(LocalSet::new().run_until(work(worker, operator, receiver)));
        });
        // The thread ends with the process; sessions are waited for by the roster.
        drop(started.map_err(|source| AppError::System { what: "start a worker", source })?);
    }
    Ok(desks)
}

/// One worker's life: sessions come until the listeners are gone, and stay until they end.
async fn work(worker: Rc<Worker>, operator: Arc<Operator>, mut receiver: mpsc::Receiver<Handover>) {
    let mut sessions = JoinSet::new();
    let mut tick = interval(TICK);
    let mut is_open = true;
    while is_open || !sessions.is_empty() {
        // Each arm only waits: what is not chosen has lost nothing.
        tokio::select! {
            handover = receiver.recv(), if is_open => match handover.map(Handover::take) {
                None => is_open = false,
                Some(Err(error)) => tracing::warn!(%error, "a connection was lost while it was handed over"),
                Some(Ok((accepted, place))) => {
                    let (worker, operator) = (Rc::clone(&worker), Arc::clone(&operator));
                    drop(sessions.spawn_local(async move {
                        connection::serve(worker, operator, accepted).await;
                        drop(place);
                    }));
                }
            },
            Some(ended) = sessions.join_next() => if let Err(error) = ended {
                tracing::error!(%error, "a session failed");
            },
            _ = tick.tick() => worker.tick(u64::try_from(now().as_second()).unwrap_or(0)),
        }
    }
}

/// Takes what relays tell, and writes the audit.
async fn watch_relays(operator: Arc<Operator>, mut seen: mpsc::Receiver<Seen>) {
    let mut tick = interval(TICK);
    loop {
        // Each arm only waits: what is not chosen has lost nothing.
        tokio::select! {
            next = seen.recv() => match next {
                None => return,
                Some(seen) => note(&operator, seen),
            },
            _ = tick.tick() => {
                let lines = operator.audit().due(now());
                operator.write_audit(lines);
            }
        }
    }
}

fn note(operator: &Operator, seen: Seen) {
    let who = &seen.who.identity;
    let tried = match seen.what {
        What::Refused(refusal) => {
            let what = refusal.classification;
            let (class, command) = (what.class.as_str(), what.command.as_str().to_owned());
            Tried { class, command, why: what.why.to_string(), text: refusal.text }
        }
        What::Rejected { command } => Tried {
            class: "rejected",
            command: String::from_utf8_lossy(&command).into_owned(),
            why: "the server rejected it: the fence holds".into(),
            text: Box::default(),
        },
        What::FenceLost | What::PoolerFound | What::FenceFailed { .. } => {
            let event = format!("{:?}", seen.what);
            tracing::warn!(session = who.id, user = who.user, database = who.database, event, "fence");
            return;
        }
    };
    let key = Key {
        user: who.user.as_str().into(),
        database: who.database.as_str().into(),
        application: seen.application,
        client: who.client.map(|address| address.ip()),
        fingerprint: crate::observe::Book::shape(&tried),
    };
    let line = operator.audit().note(key, &tried, now());
    operator.write_audit(line);
}

/// While nobody is logged in, looks whether the server can be reached.
async fn look_at_upstream(operator: Arc<Operator>, shared: Shared) {
    let mut tick = interval(Duration::from_secs(10));
    loop {
        tick.tick().await;
        let up = !shared.switch.roster().is_empty() || shared.upstream.connect().await.is_ok();
        operator.note_upstream(up);
    }
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
    if tokio::time::timeout(limit, empty).await.is_err() {
        ask(Order::Kill);
        sleep(TICK).await;
    }
}

/// The audit goes to standard output, a line each.
fn write_line(line: String) {
    let mut out = io::stdout().lock();
    // A reader that has gone away is no reason to stop relaying.
    drop(out.write_all(line.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()));
}

/// Whether a file system survives a restart of the machine. Source: `statfs(2)`, the magic numbers of tmpfs,
/// ramfs and overlayfs.
fn is_durable(folder: &Path) -> bool {
    const VOLATILE: [i64; 3] = [0x0102_1994, 0x8584_58f6, 0x794c_7630];
    rustix::fs::statfs(folder).is_ok_and(|data| !VOLATILE.contains(&data.f_type))
}

/// Where the state is kept if nobody says otherwise.
pub fn default_state_dir(is_root: bool, home: Option<PathBuf>, state_home: Option<PathBuf>) -> PathBuf {
    if is_root {
        return PathBuf::from("/var/lib/frostgate");
    }
    let state_home = state_home.or_else(|| home.map(|home| home.join(".local/state")));
    state_home.unwrap_or_else(|| PathBuf::from("/tmp")).join("frostgate")
}
