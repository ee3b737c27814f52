//! Cancel requests: from a client, to the session that its key names and to no other; and our own.

use super::upstream::Upstream;
use crate::{fleet::Place, wire::startup::CancelKey};
use std::{io, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};

/// For the server to close the connection that brought it a cancel request.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Brings a cancel request to the place where its session is. When this returns the server has taken it.
/// Source: manual, "Canceling Requests in Progress": the server closes the connection, and says nothing.
///
/// # Errors
/// The place could not be reached, or did not take it in time.
pub async fn send(upstream: &Upstream, place: &Place, key: &CancelKey) -> io::Result<()> {
    let mut stream = upstream.connect_place(place).await?;
    stream.write_all(&key.request()).await?;
    stream.flush().await?;
    let mut nothing = [0; 1];
    // Over TLS it closes without a farewell, which is an error elsewhere.
    drop(timeout(ANSWER_LIMIT, stream.read(&mut nothing)).await?);
    Ok(())
}
