//! The SASL messages of a login, as far as a relay must understand them: which mechanisms the server offers, and
//! how the client begins. Source: manual, "SASL Authentication"; RFC 5802, section 7.

use super::{
    frontend::{c_str, framed},
    read::{c_string, size, u32_be},
};

/// SCRAM bound to the TLS connection.
pub const SCRAM_PLUS: &[u8] = b"SCRAM-SHA-256-PLUS";
/// SCRAM that is not.
pub const SCRAM: &[u8] = b"SCRAM-SHA-256";
/// The codes of Authentication messages. Source: manual, "Message Formats".
pub const OK: u32 = 0;
/// A password in plain text is asked for.
pub const CLEARTEXT: u32 = 3;
/// A hash with that salt is asked for.
pub const MD5: u32 = 5;
/// A mechanism is to be chosen.
pub const SASL: u32 = 10;
/// The exchange goes on.
pub const CONTINUE: u32 = 11;
/// The exchange's last words.
pub const FINAL: u32 = 12;

/// An Authentication message's code, and what follows it.
pub fn request_code(body: &[u8]) -> Option<(u32, &[u8])> {
    u32_be(body)
}

/// Appends an Authentication message.
pub fn request(out: &mut Vec<u8>, code: u32, data: &[u8]) {
    framed(out, b'R', |out| {
        out.extend_from_slice(&code.to_be_bytes());
        out.extend_from_slice(data);
    });
}

/// The mechanisms that an Authentication message offers; none if it is another one.
pub fn offered(body: &[u8]) -> Option<Vec<&[u8]>> {
    let (code, mut rest) = u32_be(body)?;
    if code != SASL {
        return None;
    }
    let mut mechanisms = Vec::new();
    while let Some((name, after)) = c_string(rest).filter(|(name, _)| !name.is_empty()) {
        mechanisms.push(name);
        rest = after;
    }
    Some(mechanisms)
}

/// Appends an `AuthenticationSASL`.
pub fn offer(out: &mut Vec<u8>, mechanisms: &[&[u8]]) {
    framed(out, b'R', |out| {
        out.extend_from_slice(&SASL.to_be_bytes());
        for name in mechanisms {
            c_str(out, name);
        }
        out.push(0);
    });
}

/// What a client says of channel binding when it begins. Source: RFC 5802, section 7, `gs2-cbind-flag`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindingFlag {
    /// `n`: it does not support it.
    No,
    /// `y`: it does, and thinks that the server does not.
    Yes,
    /// `p=`: it uses it.
    Used,
}

/// The mechanism of a `SASLInitialResponse`, and the client's first words.
pub fn initial_response(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let (mechanism, rest) = c_string(body)?;
    let (length, words) = u32_be(rest)?;
    (size(length) == words.len()).then_some((mechanism, words))
}

/// The flag in a `SASLInitialResponse`'s body; none if that is something else.
pub fn binding_flag(body: &[u8]) -> Option<BindingFlag> {
    let (mechanism, words) = initial_response(body)?;
    if mechanism != SCRAM && mechanism != SCRAM_PLUS {
        return None;
    }
    match words.first()? {
        b'n' => Some(BindingFlag::No),
        b'y' => Some(BindingFlag::Yes),
        b'p' => Some(BindingFlag::Used),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_reads_back_and_other_requests_are_none() {
        let mut out = Vec::new();
        offer(&mut out, &[SCRAM_PLUS, SCRAM]);
        assert_eq!(offered(&out[5..]).unwrap(), [SCRAM_PLUS, SCRAM]);
        assert_eq!(offered(&[0, 0, 0, 3]), None);
        assert_eq!(offered(&[0, 0]), None);
    }

    #[test]
    fn the_flag_is_the_first_letter_of_the_clients_first_words() {
        let flag = |mechanism: &[u8], words: &[u8]| {
            let length = u32::try_from(words.len()).unwrap().to_be_bytes();
            binding_flag(&[mechanism, b"\0", &length, words].concat())
        };
        assert_eq!(flag(SCRAM, b"n,,n=,r=x"), Some(BindingFlag::No));
        assert_eq!(flag(SCRAM, b"y,,n=,r=x"), Some(BindingFlag::Yes));
        assert_eq!(flag(SCRAM_PLUS, b"p=tls-server-end-point,,n=,r=x"), Some(BindingFlag::Used));
        assert_eq!(flag(b"OTHER", b"y"), None);
        assert_eq!(binding_flag(b"secret\0"), None, "a password is no SASL message");
    }
}
