//! What a client says before it is logged in: the start-up packet and the three special requests, which
//! have no type byte. Source: manual, "Start-up"; `ProcessStartupPacket` in `backend_startup.c`.

use super::{
    error::WireError,
    frontend::c_str,
    read::{c_string, size, u16_be, u32_be},
};

/// The longest start-up packet. Source: `MAX_STARTUP_PACKET_LENGTH`, `libpq/pqcomm.h`.
pub const STARTUP_LIMIT: u32 = 10_000;
/// The longest key of a cancel request, since protocol 3.2.
pub const CANCEL_KEY_LIMIT: usize = 256;
/// As long as a name is on the server. Source: `NAMEDATALEN - 1`.
const NAME_LENGTH: usize = 63;
/// Length word and code.
const LEAST: u32 = 8;
const CANCEL: u32 = 80_877_102;
const SSL: u32 = 80_877_103;
const GSS: u32 = 80_877_104;
/// The whole SSLRequest packet.
pub const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// The first packet of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartupPacket {
    /// Asks for TLS.
    SslRequest,
    /// Asks for GSSAPI encryption.
    GssEncRequest,
    /// Asks that another session's statement be cancelled.
    CancelRequest(CancelKey),
    /// Asks for a session.
    StartupMessage(StartupMessage),
}

/// What BackendKeyData gave out: enough to cancel that session's statement.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CancelKey {
    /// The server process.
    pub process_id: u32,
    /// 4 bytes in protocol 3.0, up to 256 since 3.2.
    pub secret: Box<[u8]>,
}

impl std::fmt::Debug for CancelKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CancelKey({}, secret of {} bytes)", self.process_id, self.secret.len())
    }
}

impl CancelKey {
    /// Reads the body of a BackendKeyData, or what follows a cancel request's code.
    pub fn read(body: &[u8]) -> Option<Self> {
        let (process_id, secret) = u32_be(body)?;
        (!secret.is_empty() && secret.len() <= CANCEL_KEY_LIMIT)
            .then(|| Self { process_id, secret: secret.into() })
    }

    /// The whole CancelRequest packet.
    pub fn request(&self) -> Vec<u8> {
        let mut out = packet(CANCEL, |out| {
            out.extend_from_slice(&self.process_id.to_be_bytes());
            out.extend_from_slice(&self.secret);
        });
        out.shrink_to_fit();
        out
    }
}

/// A StartupMessage: the protocol asked for and the parameters, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartupMessage {
    /// Protocol 3's minor version.
    pub minor: u16,
    parameters: Vec<(Vec<u8>, Vec<u8>)>,
}

/// A name as the server cuts it, so that a longer one can't go by another name here than there. Source:
/// `ProcessStartupPacket`: what is longer than `NAMEDATALEN - 1` bytes is truncated.
fn as_server_cuts(name: &[u8]) -> &[u8] {
    name.get(..NAME_LENGTH).unwrap_or(name)
}

impl StartupMessage {
    /// The last value given under that name, as the server takes it.
    pub fn parameter(&self, name: &str) -> Option<&[u8]> {
        let found = self.parameters.iter().rev().find(|(n, _)| n == name.as_bytes());
        found.map(|(_, value)| value.as_slice())
    }

    /// The role, as the server knows it; its absence was an error when the packet was read.
    pub fn user(&self) -> &[u8] {
        as_server_cuts(self.parameter("user").unwrap_or_default())
    }

    /// The database as the server knows it, which is the user's name if none was given.
    pub fn database(&self) -> &[u8] {
        let said = self.parameter("database").filter(|d| !d.is_empty());
        as_server_cuts(said.unwrap_or_else(|| self.user()))
    }

    /// All parameters in their order.
    pub fn parameters(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.parameters.iter().map(|(name, value)| (name.as_slice(), value.as_slice()))
    }

    /// Whether this session speaks to a walsender, and to which kind.
    /// Source: `ProcessStartupPacket`: `replication` is "database" or a boolean as `parse_bool` reads it.
    pub fn replication(&self) -> Replication {
        match self.parameter("replication") {
            None => Replication::None,
            Some(b"database") => Replication::Database,
            Some(value) if is_false(value) => Replication::None,
            // What the server would call an invalid value it will reject itself.
            Some(_) => Replication::Physical,
        }
    }

    /// The packet as bytes, for the server.
    pub fn encode(&self) -> Vec<u8> {
        packet(0x0003_0000 | u32::from(self.minor), |out| {
            for (name, value) in &self.parameters {
                c_str(out, name);
                c_str(out, value);
            }
            out.push(0);
        })
    }

    /// Sets a parameter in place of whatever the client gave under that name.
    pub fn set(&mut self, name: &str, value: &str) {
        self.parameters.retain(|(n, _)| n != name.as_bytes());
        self.parameters.push((name.as_bytes().to_vec(), value.as_bytes().to_vec()));
    }

    /// A message of our own.
    pub fn new(parameters: &[(&str, &str)]) -> Self {
        let own = |(name, value): &(&str, &str)| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
        Self { minor: 0, parameters: parameters.iter().map(own).collect() }
    }
}

/// Which kind of walsender, if any, a session speaks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replication {
    /// An ordinary session.
    None,
    /// `replication=true`: replication commands only.
    Physical,
    /// `replication=database`: replication commands and simple queries.
    Database,
}

/// `parse_bool`'s words for false, and their unique prefixes. Source: `src/backend/utils/adt/bool.c`.
fn is_false(value: &[u8]) -> bool {
    let lower = value.to_ascii_lowercase();
    let prefix = |word: &[u8], least: usize| lower.len() >= least && word.starts_with(&lower);
    prefix(b"false", 1) || prefix(b"no", 1) || prefix(b"off", 2) || lower == b"0"
}

/// Reads the first packet of a connection: `None` while it is not all there; else the packet and its length.
///
/// # Errors
/// Garbage: a length out of bounds, an unknown protocol, a layout that the server too would reject.
pub fn read(buffer: &[u8]) -> Result<Option<(StartupPacket, usize)>, WireError> {
    let Some((said, rest)) = u32_be(buffer) else { return Ok(None) };
    if !(LEAST..=STARTUP_LIMIT).contains(&said) {
        return Err(WireError::StartupLength { said, least: LEAST, limit: STARTUP_LIMIT });
    }
    let length = size(said);
    let Some((code, body)) = rest.get(..length.saturating_sub(4)).and_then(u32_be) else { return Ok(None) };
    let packet = match code {
        SSL => StartupPacket::SslRequest,
        GSS => StartupPacket::GssEncRequest,
        CANCEL => StartupPacket::CancelRequest(CancelKey::read(body).ok_or(WireError::StartupLayout)?),
        version => StartupPacket::StartupMessage(startup_message(version, body)?),
    };
    Ok(Some((packet, length)))
}

fn startup_message(version: u32, body: &[u8]) -> Result<StartupMessage, WireError> {
    let bytes = version.to_be_bytes();
    let words = u16_be(&bytes).and_then(|(major, rest)| u16_be(rest).map(|(minor, _)| (major, minor)));
    let (major, minor) = words.unwrap_or_default();
    if major != 3 {
        return Err(WireError::ProtocolVersion { major, minor });
    }
    let (mut parameters, mut rest) = (Vec::new(), body);
    loop {
        match rest {
            [0] => break,
            [] | [0, ..] => return Err(WireError::StartupLayout),
            _ => {
                let (name, after) = c_string(rest).ok_or(WireError::StartupLayout)?;
                let (value, after) = c_string(after).ok_or(WireError::StartupLayout)?;
                parameters.push((name.to_vec(), value.to_vec()));
                rest = after;
            }
        }
    }
    let message = StartupMessage { minor, parameters };
    if message.user().is_empty() {
        return Err(WireError::NoUser);
    }
    Ok(message)
}

fn packet(code: u32, body: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = vec![0; 4];
    out.extend_from_slice(&code.to_be_bytes());
    body(&mut out);
    let length = u32::try_from(out.len()).unwrap_or(u32::MAX);
    if let Some(word) = out.first_chunk_mut::<4>() {
        *word = length.to_be_bytes();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(parameters: &[(&str, &str)]) -> Vec<u8> {
        StartupMessage::new(parameters).encode()
    }

    #[test]
    fn a_startup_message_reads_back_and_its_database_is_the_user_unless_named() {
        let bytes = message(&[("user", "ann"), ("application_name", "x")]);
        let Ok(Some((StartupPacket::StartupMessage(read), length))) = read(&bytes) else { panic!() };
        assert_eq!(length, bytes.len());
        assert_eq!((read.user(), read.database()), (&b"ann"[..], &b"ann"[..]));
        assert_eq!(read.encode(), bytes);
    }

    #[test]
    fn nothing_is_said_before_the_packet_is_whole() {
        let bytes = message(&[("user", "ann")]);
        for end in 0..bytes.len() {
            assert_eq!(read(&bytes[..end]).unwrap(), None, "{end} bytes");
        }
    }

    #[test]
    fn garbage_is_named_for_what_it_is() {
        assert_eq!(read(&SSL_REQUEST).unwrap(), Some((StartupPacket::SslRequest, 8)));
        assert!(matches!(read(b"GET / HTTP/1.0\r\n\r\n"), Err(WireError::StartupLength { .. })));
        assert!(matches!(read(&[0, 0, 0, 8, 0, 2, 0, 0]), Err(WireError::ProtocolVersion { major: 2, .. })));
        assert!(matches!(read(&[0, 0, 0, 9, 0, 3, 0, 0, 0]), Err(WireError::NoUser)));
        assert!(matches!(read(b"\0\0\0\x10\0\x03\0\0user\0a\0b"), Err(WireError::StartupLayout)));
        assert!(matches!(read(&[0xff; 8]), Err(WireError::StartupLength { .. })));
    }

    #[test]
    fn a_cancel_request_carries_a_key_of_any_length_up_to_the_limit() {
        for length in [4, 32, CANCEL_KEY_LIMIT] {
            let key = CancelKey { process_id: 7, secret: vec![9; length].into() };
            let (packet, _) = read(&key.request()).unwrap().unwrap();
            assert_eq!(packet, StartupPacket::CancelRequest(key));
        }
        let long = CancelKey { process_id: 7, secret: vec![9; CANCEL_KEY_LIMIT + 1].into() };
        assert!(matches!(read(&long.request()), Err(WireError::StartupLayout)));
    }

    #[test]
    fn replication_is_read_as_the_server_reads_a_boolean() {
        let kind = |value| StartupMessage::new(&[("user", "a"), ("replication", value)]).replication();
        for value in ["true", "on", "1", "YES", "t"] {
            assert_eq!(kind(value), Replication::Physical, "{value}");
        }
        for value in ["false", "of", "0", "No", "f"] {
            assert_eq!(kind(value), Replication::None, "{value}");
        }
        assert_eq!(kind("database"), Replication::Database);
    }
}
