//! What is left when the client is gone: the server's session, which may still be running, and may commit. It
//! counts until the server itself has closed it.

use super::{cancel, stream::Stream, upstream::Upstream};
use crate::fleet::SessionRecord;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};

/// What the server may still send to nobody before it is told to stop, in bytes. Without a proxy its next
/// message would have failed, and with it what it is doing.
const DISCARDED: usize = 256 * 1024;
/// For telling the server that no more comes.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(5);

/// Waits until the server's session has ended.
pub async fn farewell(mut server: Stream, upstream: &Upstream, record: &SessionRecord) {
    record.set_client_gone();
    // If it can't be told, it has gone, and the read below says so.
    drop(timeout(SHUTDOWN_LIMIT, server.shutdown()).await);
    let (mut discarded, mut is_told) = (0_usize, false);
    let mut buffer = [0; 4096];
    while let Ok(read) = server.read(&mut buffer).await {
        if read == 0 {
            return;
        }
        discarded = discarded.saturating_add(read);
        if discarded > DISCARDED && !is_told {
            is_told = true;
            if let Some(key) = &record.identity.cancel_key {
                drop(cancel::send(upstream, &record.identity.place, key).await);
            }
        }
    }
}
