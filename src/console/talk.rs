//! The bytes of one visit: the greeting behind the login, message after message, the end. A message is cut off whole,
//! within a limit, before pgwire reads it.

use super::{
    desk::{Guest, MINOR},
    handler::Handler,
    visit::Visit,
};
use crate::{
    net::Stream,
    wire::{FrontendTag, layout::is_laid_out},
};
use bytes::BytesMut;
use futures::SinkExt as _;
use pgwire::{
    api::{ClientInfo as _, DefaultClient, NoopHandler, PgWireConnectionState},
    error::{ErrorInfo, PgWireError},
    messages::{
        DecodeContext, PgWireBackendMessage, PgWireFrontendMessage, ProtocolVersion,
        response::{ReadyForQuery, TransactionStatus},
        startup::{Authentication, BackendKeyData, NegotiateProtocolVersion, ParameterStatus, SecretKey},
    },
    tokio::server::{PgWireMessageServerCodec, process_error, process_message},
};
use std::{io, net::Ipv4Addr, sync::Arc};
use tokio::io::AsyncReadExt as _;
use tokio_util::codec::Framed;

/// The longest message, in bytes, its length word included.
const MESSAGE_LIMIT: usize = 64 * 1024;
/// Its type byte and its length word.
const HEADER: usize = 5;
/// What psql and drivers take the console for: the oldest version that is supported. They warn of newer servers than
/// they are themselves, and of much older ones.
const SERVER_VERSION: &str = concat!("13.0 (Frostgate ", env!("CARGO_PKG_VERSION"), ")");

type Socket = Framed<Stream, PgWireMessageServerCodec<super::command::Statement>>;

/// Serves a visit to its end.
///
/// # Errors
/// The socket failed.
pub async fn talk(mut guest: Guest, stream: Stream) -> io::Result<()> {
    let mut held = BytesMut::from(std::mem::take(&mut guest.held).as_slice());
    // Nobody asks pgwire where the client is.
    let client = DefaultClient::new((Ipv4Addr::UNSPECIFIED, 0).into(), stream.is_encrypted());
    let mut socket = Framed::new(stream, PgWireMessageServerCodec::new(client));
    socket.set_protocol_version(ProtocolVersion::PROTOCOL3_0);
    socket.set_state(PgWireConnectionState::ReadyForQuery);
    greet(&mut socket, &guest).await?;
    let (handler, nobody) = (Arc::new(Handler::new(Visit::new(guest))), Arc::new(NoopHandler));
    loop {
        let message = match next(&mut socket, &mut held).await? {
            Next::Message(message) => message,
            Next::Breach(error) => return process_error(&mut socket, error, false).await,
            Next::Over => return Ok(()),
        };
        let is_query = matches!(message, PgWireFrontendMessage::Query(_));
        let done = process_message(
            message,
            &mut socket,
            Arc::clone(&nobody),
            Arc::clone(&handler),
            Arc::clone(&handler),
            Arc::clone(&nobody),
            Arc::clone(&nobody),
        );
        if let Err(error) = done.await {
            let is_over = error.is_fatal();
            process_error(&mut socket, error, !is_query).await?;
            if is_over {
                return Ok(());
            }
        }
    }
}

/// What came next.
enum Next {
    Message(PgWireFrontendMessage),
    /// The client broke the protocol.
    Breach(PgWireError),
    /// The client has gone.
    Over,
}

async fn next(socket: &mut Socket, held: &mut BytesMut) -> io::Result<Next> {
    let context = {
        let mut context = DecodeContext::new(ProtocolVersion::PROTOCOL3_0);
        (context.awaiting_frontend_ssl, context.awaiting_frontend_startup) = (false, false);
        context
    };
    loop {
        let length = held.get(1..HEADER).and_then(|word| word.first_chunk::<4>());
        if let Some(length) = length.map(|word| u32::from_be_bytes(*word)) {
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            if !(4..=MESSAGE_LIMIT).contains(&length) {
                return Ok(Next::Breach(PgWireError::MessageTooLarge(MESSAGE_LIMIT, length)));
            }
            let whole = length.saturating_add(1);
            if held.len() >= whole {
                // Cut off, so that what is told inside it can't reach into the next.
                let mut message = held.split_to(whole);
                let tag = FrontendTag::from_byte(message.first().copied().unwrap_or_default());
                if !is_laid_out(tag, message.get(HEADER..).unwrap_or_default()) {
                    return Ok(Next::Breach(malformed()));
                }
                return Ok(match PgWireFrontendMessage::decode(&mut message, &context) {
                    Ok(Some(PgWireFrontendMessage::Terminate(_)) | None) => Next::Over,
                    Ok(Some(message)) => Next::Message(message),
                    Err(error) => Next::Breach(error),
                });
            }
        }
        match socket.get_mut().read_buf(held).await {
            Ok(0) => return Ok(Next::Over),
            // Over TLS some end without a farewell.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Next::Over),
            read => read?,
        };
    }
}

/// Source of the text: `pq_getmsgend` in `pqformat.c`.
fn malformed() -> PgWireError {
    let words = ["FATAL", "08P01", "invalid message format"].map(str::to_owned);
    let [severity, code, text] = words;
    PgWireError::UserError(Box::new(ErrorInfo::new(severity, code, text)))
}

/// What a server says behind a login.
async fn greet(socket: &mut Socket, guest: &Guest) -> io::Result<()> {
    if guest.minor > MINOR || !guest.unknown.is_empty() {
        let newest = i32::from(MINOR);
        let unknown = NegotiateProtocolVersion::new(newest, guest.unknown.clone());
        socket.feed(PgWireBackendMessage::NegotiateProtocolVersion(unknown)).await?;
    }
    socket.feed(PgWireBackendMessage::Authentication(Authentication::Ok)).await?;
    for (name, value) in [
        ("server_version", SERVER_VERSION),
        ("server_encoding", "UTF8"),
        ("client_encoding", "UTF8"),
        ("application_name", &guest.application),
        ("is_superuser", "off"),
        ("session_authorization", &guest.user),
        ("DateStyle", "ISO, MDY"),
        ("IntervalStyle", "postgres"),
        ("TimeZone", "UTC"),
        ("integer_datetimes", "on"),
        ("standard_conforming_strings", "on"),
        ("default_transaction_read_only", "off"),
        ("in_hot_standby", "off"),
    ] {
        let status = ParameterStatus::new(name.to_owned(), value.to_owned());
        socket.feed(PgWireBackendMessage::ParameterStatus(status)).await?;
    }
    let pid = i32::try_from(guest.key.process_id).unwrap_or(0);
    let secret = match guest.key.secret.first_chunk::<4>() {
        Some(word) if guest.key.secret.len() == word.len() => SecretKey::I32(i32::from_be_bytes(*word)),
        _ => SecretKey::Bytes(guest.key.secret.to_vec().into()),
    };
    socket.feed(PgWireBackendMessage::BackendKeyData(BackendKeyData::new(pid, secret))).await?;
    socket.send(PgWireBackendMessage::ReadyForQuery(ReadyForQuery::new(TransactionStatus::Idle))).await
}
