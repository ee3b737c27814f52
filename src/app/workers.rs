//! The threads that relay: each has a runtime of its own, and sessions stay where they were handed to.

use super::{clock::now, error::AppError};
use crate::{
    connection::{self, Hosts},
    listener::{Desk, HANDOVER_LIMIT, Handover},
    net::{Shared, Worker},
    observe::WorkerCounters,
};
use std::{
    hash::{BuildHasher as _, RandomState},
    rc::Rc,
    sync::{Arc, atomic::AtomicUsize},
    thread,
    time::Duration,
};
use tokio::{
    runtime::Builder,
    sync::mpsc,
    task::{JoinSet, LocalSet},
    time::interval,
};

/// How often a worker's transactions are dated.
const TICK: Duration = Duration::from_secs(1);

pub(super) fn start_workers(
    shared: &Shared,
    hosts: &Hosts,
    counters: Vec<Arc<WorkerCounters>>,
) -> Result<Vec<Desk>, AppError> {
    let mut desks = Vec::new();
    for (number, counters) in counters.into_iter().enumerate() {
        let (sender, receiver) = mpsc::channel(HANDOVER_LIMIT);
        desks.push(Desk { sender, load: Arc::new(AtomicUsize::new(0)) });
        // Unforeseeable to clients, as the standard library's own tables are.
        let seed = RandomState::new().hash_one(number);
        let (shared, hosts) = (shared.clone(), hosts.clone());
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| AppError::System { what: "start a worker", source })?;
        let started = thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
            let worker = Rc::new(Worker::new(shared, counters, seed));
            runtime.block_on(LocalSet::new().run_until(work(worker, hosts, receiver)));
        });
        // The thread ends with the process; sessions are waited for by the roster.
        drop(started.map_err(|source| AppError::System { what: "start a worker", source })?);
    }
    Ok(desks)
}

/// One worker's life: sessions come until the listeners are gone, and stay until they end.
async fn work(worker: Rc<Worker>, hosts: Hosts, mut receiver: mpsc::Receiver<Handover>) {
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
                    let worker = Rc::clone(&worker);
                    drop(sessions.spawn_local(connection::serve(worker, hosts.clone(), accepted, place)));
                }
            },
            Some(ended) = sessions.join_next() => if let Err(error) = ended {
                tracing::error!(%error, "a session failed");
            },
            _ = tick.tick() => worker.tick(u64::try_from(now().as_second()).unwrap_or(0)),
        }
    }
}
