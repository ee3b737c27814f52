//! The end of a session: what is left of it on its server, and what that tells of the server.

use crate::{
    causes::with_causes,
    net::{Ending, Gone, NetError, Relay, Worker, farewell},
};
use std::rc::Rc;

/// What is left on the server when the relay is over.
pub(super) async fn take_leave(worker: Rc<Worker>, relay: Box<Relay>, over: Result<Gone, NetError>) {
    let (at, record) = relay.whose();
    let (result, ending) = relay.finish(over).await;
    let id = record.identity.id;
    match result {
        Ok(()) => tracing::info!(session = id, "session ends"),
        Err(error) => tracing::warn!(session = id, problem = %with_causes(&error), "session ends"),
    }
    let shared = &worker.shared;
    if matches!(ending, Ending::ServerClosed) && !record.is_client_gone() {
        // It may be this session alone that was ended; or the server, and what comes back is another one.
        at.known.forget();
    }
    if let Ending::ServerLeft(server) = ending {
        farewell(server, &at.upstream, &record).await;
    }
    if let Some(key) = &record.identity.cancel_key {
        shared.pids.leave(&at.key, key.process_id);
    }
    shared.switch.roster().leave(id);
    shared.switch.stir();
}
