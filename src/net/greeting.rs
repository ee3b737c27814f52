//! A client's first packets: what it came for, and whether it is to be spoken to in TLS.
//! Source: manual, "Protocol Flow", "SSL Session Encryption"; `ProcessStartupPacket` and `ProcessSSLStartup` in
//! `backend_startup.c`.

use super::{
    error::{NetError, Peer},
    login::hear_more,
    stream::Stream,
};
use crate::{
    config::TlsPolicy,
    tls::{Doorway, explain},
    wire::startup::{self, CancelKey, StartupMessage, StartupPacket},
};
use std::sync::Arc;
use tokio::io::AsyncWriteExt as _;

/// A client may ask for encryption so many times: once for TLS, once for GSSAPI.
const ENCRYPTION_REQUESTS: usize = 2;
/// The first byte of a TLS connection that begins without asking. Source: RFC 8446, section 5.1, `handshake`.
const TLS_HANDSHAKE: u8 = 0x16;

/// What a client came for.
#[derive(Debug)]
pub enum Greeting {
    /// A session; bytes that came behind the packet are kept. Where the client was shown a certificate, the hash
    /// that binds a login to it.
    Session(StartupMessage, Vec<u8>, Option<Vec<u8>>),
    /// To cancel another session's statement.
    Cancel(CancelKey),
    /// It left without a word, as health checks do.
    Nothing,
}

/// Reads the first packets of a connection, and makes it one of TLS if the client asks for that and `doorway` is
/// there. GSSENCRequest is answered `N`: what it would encrypt, a proxy could not read.
///
/// # Errors
/// Garbage, or the socket failed, or plain text came where none is allowed.
pub async fn greet(client: &mut Stream, doorway: Option<&Doorway>) -> Result<Greeting, NetError> {
    let lost = |source| NetError::Lost { peer: Peer::Client, source };
    let (mut bytes, mut requests, mut end_point) = (Vec::new(), 0_usize, None);
    if let (Stream::Tcp(socket), Some(doorway)) = (&mut *client, doorway) {
        let mut first = [0];
        if socket.peek(&mut first).await.map_err(lost)? == 1 && first == [TLS_HANDSHAKE] {
            end_point = encrypt(client, doorway, true).await?;
        }
    }
    loop {
        let read =
            startup::read(&bytes).map_err(|source| NetError::Protocol { peer: Peer::Client, source })?;
        match read {
            None => {
                if hear_more(client, &mut bytes).await.map_err(lost)? == 0 {
                    if bytes.is_empty() {
                        return Ok(Greeting::Nothing);
                    }
                    return Err(NetError::Closed { peer: Peer::Client });
                }
            }
            Some((StartupPacket::StartupMessage(message), length)) => {
                let must_encrypt = doorway.is_some_and(|doorway| doorway.policy() == TlsPolicy::Require);
                if must_encrypt && matches!(client, Stream::Tcp(_)) {
                    return Err(NetError::NotEncrypted);
                }
                return Ok(Greeting::Session(message, bytes.split_off(length), end_point));
            }
            // In plain text too, whatever the policy: libpq before 17 knows no other way.
            Some((StartupPacket::CancelRequest(key), _)) => return Ok(Greeting::Cancel(key)),
            Some((request @ (StartupPacket::SslRequest | StartupPacket::GssEncRequest), length)) => {
                requests = requests.saturating_add(1);
                if requests > ENCRYPTION_REQUESTS {
                    return Err(NetError::RepeatedRequest);
                }
                bytes.drain(..length);
                match doorway {
                    Some(doorway) if request == StartupPacket::SslRequest && is_plain_tcp(client) => {
                        // Whoever sits in between could have put them there, to be taken for the client's own
                        // behind the handshake (CVE-2021-23222).
                        if !bytes.is_empty() {
                            return Err(NetError::PlainBehindRequest);
                        }
                        client.write_all(b"S").await.map_err(lost)?;
                        end_point = encrypt(client, doorway, false).await?;
                    }
                    _ => {
                        client.write_all(b"N").await.map_err(lost)?;
                        client.flush().await.map_err(lost)?;
                    }
                }
            }
        }
    }
}

fn is_plain_tcp(client: &Stream) -> bool {
    matches!(client, Stream::Tcp(_))
}

/// Makes the stream one of TLS; what binds a login to the certificate that was shown.
async fn encrypt(
    client: &mut Stream,
    doorway: &Doorway,
    is_direct: bool,
) -> Result<Option<Vec<u8>>, NetError> {
    let presented = doorway.presented();
    let Stream::Tcp(socket) = std::mem::replace(client, Stream::Gone) else { return Ok(None) };
    let accepted =
        Stream::accept_tls(socket, Arc::<rustls::ServerConfig>::clone(&presented.config), is_direct).await;
    *client = accepted.map_err(|error| NetError::Handshake { problem: explain(&error) })?;
    Ok(presented.end_point.clone())
}
