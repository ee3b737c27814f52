//! What the process is told by signals.

use super::{error::AppError, manager::ServiceManager};
use crate::{
    console::Console,
    control::{DrainOptions, FreezeCall, Operator, ThawCall},
    net::Shared,
};
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

/// Signals: SIGUSR1 freezes, SIGUSR2 thaws, SIGHUP reloads, SIGTERM and SIGINT stop. Stopping never thaws.
pub(super) async fn until_stopped(
    operator: &Arc<Operator>,
    shared: &Shared,
    manager: &ServiceManager,
    console: Option<&Console>,
) -> Result<(), AppError> {
    let listen =
        |kind| signal(kind).map_err(|source| AppError::System { what: "listen for signals", source });
    let (mut freeze, mut thaw) = (listen(SignalKind::user_defined1())?, listen(SignalKind::user_defined2())?);
    let (mut reload, mut terminate) = (listen(SignalKind::hangup())?, listen(SignalKind::terminate())?);
    let mut interrupt = listen(SignalKind::interrupt())?;
    // Only now: who is told may send signals at once.
    manager.ready().await;
    loop {
        // Each arm only waits: what is not chosen has lost nothing.
        tokio::select! {
            _ = freeze.recv() => {
                let call = FreezeCall {
                    reason: "signal".into(),
                    by: "signal".into(),
                    until: None,
                    drain: DrainOptions::default(),
                    // Nobody could be asked: a gate that is shut without a fence is better than none.
                    allow_unfenced: true,
                    require_quiet: false,
                    scope: Vec::new(),
                    skip_hooks: true,
                };
                if let Err(error) = operator.freeze(call).await {
                    tracing::error!(%error, "SIGUSR1");
                }
            }
            _ = thaw.recv() => {
                let call = ThawCall { by: "signal".into(), ..ThawCall::default() };
                if let Err(error) = operator.thaw(call).await {
                    tracing::error!(%error, "SIGUSR2");
                }
            }
            _ = reload.recv() => {
                manager.reloading().await;
                drop(operator.reload(shared, console.map(Console::reload)).await);
                manager.ready().await;
            }
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    manager.stopping().await;
    Ok(())
}
