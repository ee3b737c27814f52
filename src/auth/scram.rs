//! SCRAM-SHA-256: keys, verifiers, and the arithmetic that both sides share. Source: RFC 5802; RFC 7677;
//! `scram-common.c` and `auth-scram.c`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use subtle::ConstantTimeEq as _;

/// Bytes of a key.
const KEY: usize = 32;
/// What PostgreSQL makes new verifiers with.
pub(super) const ITERATIONS: u32 = 4096;
/// More than this nobody uses; a server that asks for more would keep a thread busy.
const ITERATIONS_LIMIT: u32 = 1_000_000;

pub(super) type Key = [u8; KEY];

/// What a server keeps of a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifier {
    pub(super) iterations: u32,
    pub(super) salt: Vec<u8>,
    pub(super) stored_key: Key,
    pub(super) server_key: Key,
}

/// What a client can log in with where the password is not known.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    pub(super) iterations: u32,
    pub(super) salt: Vec<u8>,
    pub(super) client_key: Key,
    pub(super) server_key: Key,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys")
    }
}

impl Verifier {
    /// Reads `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`.
    pub fn parse(text: &str) -> Option<Self> {
        let (front, keys) = text.strip_prefix("SCRAM-SHA-256$")?.split_once('$')?;
        let (iterations, salt) = front.split_once(':')?;
        let (stored_key, server_key) = keys.split_once(':')?;
        Some(Self {
            iterations: iterations.parse().ok().filter(|count| (1..=ITERATIONS_LIMIT).contains(count))?,
            salt: decode(salt)?,
            stored_key: decode(stored_key)?.try_into().ok()?,
            server_key: decode(server_key)?.try_into().ok()?,
        })
    }

    /// Of the keys of a password.
    pub(super) fn of(keys: Keys) -> Self {
        let stored_key = sha256(&keys.client_key);
        Self { iterations: keys.iterations, salt: keys.salt, stored_key, server_key: keys.server_key }
    }

    /// Of a password, with a salt of its own.
    #[cfg(test)]
    pub(super) fn of_password(password: &[u8], salt: &[u8]) -> Self {
        Self::of(Derivation::new(password, salt, ITERATIONS).run())
    }

    /// The key that a client's proof holds, if it is a proof.
    pub(super) fn client_key(&self, auth_message: &[u8], proof: &[u8]) -> Option<Key> {
        let client_key = xor(&hmac(&self.stored_key, &[auth_message]), proof)?;
        bool::from(sha256(&client_key).ct_eq(&self.stored_key)).then_some(client_key)
    }
}

/// What turns a password into keys: thousands of hashes, some milliseconds. A thread that relays must not be kept so
/// long, so whoever needs keys is given this to have it run elsewhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Derivation {
    password: Vec<u8>,
    salt: Vec<u8>,
    iterations: u32,
}

impl std::fmt::Debug for Derivation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Derivation({} iterations)", self.iterations)
    }
}

impl Derivation {
    pub(super) fn new(password: &[u8], salt: &[u8], iterations: u32) -> Self {
        Self { password: password.into(), salt: salt.into(), iterations }
    }

    /// The keys.
    pub fn run(self) -> Keys {
        Keys::of(&self.password, &self.salt, self.iterations)
    }
}

impl Keys {
    /// Slow: nothing but [`Derivation::run`] calls it.
    fn of(password: &[u8], salt: &[u8], iterations: u32) -> Self {
        let mut salted: Key = [0; KEY];
        pbkdf2::pbkdf2_hmac::<Sha256>(&prepared(password), salt, iterations, &mut salted);
        Self {
            iterations,
            salt: salt.into(),
            client_key: hmac(&salted, &[b"Client Key"]),
            server_key: hmac(&salted, &[b"Server Key"]),
        }
    }

    pub(super) fn proof(&self, auth_message: &[u8]) -> Vec<u8> {
        let signature = hmac(&sha256(&self.client_key), &[auth_message]);
        xor(&signature, &self.client_key).map(|proof| proof.to_vec()).unwrap_or_default()
    }
}

/// What the server proves itself with.
pub(super) fn server_signature(server_key: &Key, auth_message: &[u8]) -> Key {
    hmac(server_key, &[auth_message])
}

pub(super) fn are_same(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

/// A password as both sides hash it; what `SASLprep` has no form for stays as it is. Source: `pg_saslprep`.
fn prepared(password: &[u8]) -> Cow<'_, [u8]> {
    let text = std::str::from_utf8(password).ok();
    match text.and_then(|text| stringprep::saslprep(text).ok()) {
        Some(Cow::Owned(text)) => Cow::Owned(text.into_bytes()),
        Some(Cow::Borrowed(_)) | None => Cow::Borrowed(password),
    }
}

pub(super) fn hmac(key: &[u8], parts: &[&[u8]]) -> Key {
    // HMAC takes keys of every length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; KEY] };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn sha256(bytes: &[u8]) -> Key {
    Sha256::digest(bytes).into()
}

fn xor(one: &Key, other: &[u8]) -> Option<Key> {
    let mut out: Key = other.try_into().ok()?;
    for (out, byte) in out.iter_mut().zip(one) {
        *out ^= byte;
    }
    Some(out)
}

pub(super) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// Whether a server may ask for so many.
pub(super) fn iterations(text: &str) -> Option<u32> {
    text.parse().ok().filter(|count| (1..=ITERATIONS_LIMIT).contains(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arithmetic_is_that_of_the_rfc() {
        // RFC 7677, section 3.
        let salt = decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let message = b"n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
            s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let keys = Keys::of(b"pencil", &salt, 4096);
        let proof = keys.proof(message);
        assert_eq!(encode(&proof), "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
        let signature = server_signature(&keys.server_key, message);
        assert_eq!(encode(&signature), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        let verifier = Verifier::of_password(b"pencil", &salt);
        assert_eq!(verifier.client_key(message, &proof), Some(keys.client_key));
        assert_eq!(verifier.client_key(b"other", &proof), None);
        assert_eq!(verifier.client_key(message, b"short"), None);
    }

    #[test]
    fn a_verifier_is_read_as_the_server_stores_it_and_nothing_else_is() {
        let text =
            format!("SCRAM-SHA-256$4096:{}${}:{}", encode(b"salt"), encode(&[1; 32]), encode(&[2; 32]));
        let read = Verifier::parse(&text).unwrap();
        assert_eq!((read.iterations, read.salt.as_slice()), (4096, &b"salt"[..]));
        for wrong in [
            "",
            "md5x",
            "SCRAM-SHA-256$0:AA==$AA==:AA==",
            &text.replace("4096", "99999999"),
            &text.replace(':', ""),
        ] {
            assert_eq!(Verifier::parse(wrong), None, "{wrong}");
        }
    }
}
