//! What the process is told by signals. Each kind has a task of its own: what one signal asks for may take a while, and
//! keeps none of another kind waiting. One that comes while the same is at work is heard when that is done.

use super::{error::AppError, manager::ServiceManager};
use crate::{
    console::Console,
    control::{FreezeCall, Operator, ThawCall},
    net::Shared,
};
use std::sync::Arc;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::JoinSet,
};

/// Signals: SIGUSR1 freezes, SIGUSR2 thaws, SIGHUP reloads, SIGTERM and SIGINT stop. Stopping never thaws.
pub(super) async fn until_stopped(
    operator: &Arc<Operator>,
    shared: &Shared,
    manager: &Arc<ServiceManager>,
    console: Option<&Arc<Console>>,
) -> Result<(), AppError> {
    let listen =
        |kind| signal(kind).map_err(|source| AppError::System { what: "listen for signals", source });
    let (freezes, thaws) = (listen(SignalKind::user_defined1())?, listen(SignalKind::user_defined2())?);
    let (reloads, mut terminate) = (listen(SignalKind::hangup())?, listen(SignalKind::terminate())?);
    let mut interrupt = listen(SignalKind::interrupt())?;
    // Only now: who is told may send signals at once.
    manager.ready().await;
    let mut tasks = JoinSet::new();
    drop(tasks.spawn(freeze(freezes, Arc::clone(operator))));
    drop(tasks.spawn(thaw(thaws, Arc::clone(operator))));
    let (operator, shared, manager) = (Arc::clone(operator), shared.clone(), Arc::clone(manager));
    drop(tasks.spawn(reload(reloads, (operator, shared), Arc::clone(&manager), console.cloned())));
    // Each arm only waits: what is not chosen has lost nothing.
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    // A verb that still waits has changed nothing: once it may, it does all of it at once.
    tasks.shutdown().await;
    manager.stopping().await;
    Ok(())
}

async fn freeze(mut signals: Signal, operator: Arc<Operator>) {
    while signals.recv().await.is_some() {
        let call = FreezeCall::unasked("signal".into(), "signal");
        if let Err(error) = operator.freeze(call).await {
            tracing::error!(%error, "SIGUSR1");
        }
    }
}

async fn thaw(mut signals: Signal, operator: Arc<Operator>) {
    while signals.recv().await.is_some() {
        let call = ThawCall { by: "signal".into(), ..ThawCall::default() };
        if let Err(error) = operator.thaw(call).await {
            tracing::error!(%error, "SIGUSR2");
        }
    }
}

async fn reload(
    mut signals: Signal,
    (operator, shared): (Arc<Operator>, Shared),
    manager: Arc<ServiceManager>,
    console: Option<Arc<Console>>,
) {
    while signals.recv().await.is_some() {
        manager.reloading().await;
        let console = console.as_deref().map(Console::reload);
        drop(operator.reload(&shared, console).await);
        manager.ready().await;
    }
}
