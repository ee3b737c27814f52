//! Password and SASL messages, as a client sends them during a login.

use super::error::{NetError, Peer};
use crate::wire::WireError;

/// The longest password or SASL message. Source: `PG_MAX_AUTH_TOKEN_LENGTH`, `libpq/auth.h`.
const AUTH_TOKEN_LIMIT: u32 = 65_535;

/// The client's answer to the question, with its header, when it is all there.
///
/// # Errors
/// Something else came.
pub(super) fn take_answer(from_client: &mut Vec<u8>) -> Result<Option<Vec<u8>>, NetError> {
    let Some((tag, length)) = header(from_client) else { return Ok(None) };
    if tag != b'p' || !(4..=AUTH_TOKEN_LIMIT).contains(&length) {
        let source = WireError::ExpectedPassword { got: tag, said: length };
        return Err(NetError::Protocol { peer: Peer::Client, source });
    }
    let whole = usize::try_from(length).unwrap_or(usize::MAX).saturating_add(1);
    if from_client.len() < whole {
        return Ok(None);
    }
    let rest = from_client.split_off(whole);
    Ok(Some(std::mem::replace(from_client, rest)))
}

fn header(bytes: &[u8]) -> Option<(u8, u32)> {
    let (&tag, rest) = bytes.split_first()?;
    if tag != b'p' {
        return Some((tag, 0));
    }
    rest.first_chunk::<4>().map(|word| (tag, u32::from_be_bytes(*word)))
}
