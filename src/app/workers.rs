//! The threads that relay: each has a runtime of its own, and sessions stay where they were handed to.

use super::{clock::now, error::AppError};
use crate::{
    connection::{self, Hosts},
    listener::{Desk, Errand, HANDOVER_LIMIT},
    net::{Shared, Worker},
    observe::WorkerCounters,
};
use std::{
    convert::Infallible,
    future::pending,
    hash::{BuildHasher as _, RandomState},
    io,
    rc::Rc,
    sync::{Arc, atomic::AtomicUsize, mpsc::sync_channel},
    thread,
    time::Duration,
};
use tokio::{
    runtime::{Builder, LocalOptions},
    sync::{mpsc, watch},
    task::spawn_local,
    time::interval,
};

/// How often a worker's transactions are dated.
const TICK: Duration = Duration::from_secs(1);

/// Starts them; `seconds` is what [`tick`] counts.
pub(super) fn start_workers(
    shared: &Shared,
    hosts: &Hosts,
    counters: Vec<Arc<WorkerCounters>>,
    seconds: &watch::Receiver<u64>,
) -> Result<Vec<Desk>, AppError> {
    let mut desks = Vec::new();
    for (number, counters) in counters.into_iter().enumerate() {
        let (sender, receiver) = mpsc::channel(HANDOVER_LIMIT);
        desks.push(Desk { sender, load: Arc::new(AtomicUsize::new(0)) });
        // Unforeseeable to clients, as the standard library's own tables are.
        let seed = RandomState::new().hash_one(number);
        let (shared, hosts, seconds) = (shared.clone(), hosts.clone(), seconds.clone());
        let (started, has_started) = sync_channel(1);
        let thread = thread::Builder::new().name(format!("worker-{number}"));
        // The thread ends with the process; sessions are waited for by the roster.
        let spawned = thread.spawn(move || {
            // It can't leave the thread that made it.
            let (runtime, fault) =
                match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
                    Ok(runtime) => (Some(runtime), Ok(())),
                    Err(fault) => (None, Err(fault)),
                };
            // Who started it waits for this word.
            drop(started.send(fault));
            if let Some(runtime) = runtime {
                let worker = Rc::new(Worker::new(shared, counters, seed));
                runtime.block_on(work(worker, hosts, receiver, seconds));
            }
        });
        let started =
            spawned.and_then(|_| has_started.recv().unwrap_or_else(|lost| Err(io::Error::other(lost))));
        started.map_err(|source| AppError::System { what: "start a worker", source })?;
    }
    Ok(desks)
}

/// Tells all workers the time. They have no timers of their own while nobody logs in: one would have to be set and
/// taken back each time that a thread goes to sleep between two messages.
pub(super) async fn tick(seconds: watch::Sender<u64>) {
    let mut tick = interval(TICK);
    loop {
        tick.tick().await;
        seconds.send_replace(u64::try_from(now().as_second()).unwrap_or(0));
    }
}

/// One worker's life: sessions come until the listeners are gone, and go on to the end of the process, which waits for
/// them by the roster.
async fn work(
    worker: Rc<Worker>,
    hosts: Hosts,
    mut receiver: mpsc::Receiver<Errand>,
    mut seconds: watch::Receiver<u64>,
) -> Infallible {
    let (mut is_open, mut ticks) = (true, true);
    while is_open || ticks {
        // Each arm only waits: what is not chosen has lost nothing.
        tokio::select! {
            errand = receiver.recv(), if is_open => match errand {
                None => is_open = false,
                Some(Errand::Accept(accepting)) => drop(spawn_local(accepting.run())),
                Some(Errand::Serve(handover)) => match handover.take() {
                    Err(error) => tracing::warn!(%error, "a connection was lost while it was handed over"),
                    Ok((accepted, place)) => {
                        let worker = Rc::clone(&worker);
                        // One that panics says so when its place is given back.
                        drop(spawn_local(connection::serve(worker, hosts.clone(), accepted, place)));
                    }
                },
            },
            ticked = seconds.changed(), if ticks => {
                ticks = ticked.is_ok();
                worker.tick(*seconds.borrow_and_update());
            }
        }
    }
    // The process is stopping. Its sessions are still to come to their ends here.
    pending().await
}
