//! A cancel request, brought to where its session's server is, or to the console.

use super::Connection;
use crate::{fleet::SessionRecord, net::send_cancel, wire::startup::CancelKey};
use std::{sync::Arc, time::Duration};
use tokio::time::interval;

/// A cancel request waits for the end of a question of the proxy's own: looked at so often, and so many times.
const LOOK_WHILE_ASKING: Duration = Duration::from_millis(5);
const LOOKS_WHILE_ASKING: u32 = 6_000;
/// As often it is looked for the session that has its key.
const LOOKS_FOR_KEY: u32 = 20;

impl Connection {
    /// A key that no session of ours has is answered by silence, as the server does.
    pub(super) async fn cancel(&self, key: &CancelKey) {
        if self.console.as_ref().is_some_and(|console| console.cancel(key)) {
            return;
        }
        let Some(record) = self.find(key).await else { return };
        if record.report().is_asking {
            self.wait_while_asking(&record).await;
        }
        let Some(at) = self.worker.shared.servers.of(&record.identity.upstream) else { return };
        let sent = send_cancel(&at.upstream, &record.identity.place, key).await;
        if let Err(error) = sent {
            tracing::warn!(session = record.identity.id, %error, "a cancel request did not reach the server");
        }
    }

    /// A client may have heard of its key a moment before its session is in the roster.
    async fn find(&self, key: &CancelKey) -> Option<Arc<SessionRecord>> {
        let mut look = interval(LOOK_WHILE_ASKING);
        for _ in 0..LOOKS_FOR_KEY {
            let found = self.worker.shared.switch.roster().by_cancel_key(key);
            if found.is_some() {
                return found;
            }
            look.tick().await;
        }
        None
    }

    /// The client means its own statement, which waits behind ours. One question may follow on another: it is over
    /// when two looks have found none.
    async fn wait_while_asking(&self, record: &SessionRecord) {
        let mut look = interval(LOOK_WHILE_ASKING);
        let mut found_none = false;
        for _ in 0..LOOKS_WHILE_ASKING {
            look.tick().await;
            let asks = record.report().is_asking;
            if !asks && found_none {
                return;
            }
            found_none = !asks;
        }
    }
}
