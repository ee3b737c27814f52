//! The proxy asks the client who it is. Source: manual, "Start-up" and "SASL Authentication"; `auth.c`,
//! `auth-scram.c`.

use super::{
    RANDOM,
    error::AuthError,
    md5,
    method::Client,
    scram::{Derivation, ITERATIONS, Keys, Verifier, decode, encode, hmac, server_signature},
    secret::{Credential, Secret},
};
use crate::{
    config::AuthMethod,
    wire::sasl::{self, SCRAM, SCRAM_PLUS},
};

const END_POINT: &str = "p=tls-server-end-point,,";

/// See the module's text.
#[derive(Debug)]
pub struct Asking {
    client: Client,
    secret: Option<Secret>,
    random: [u8; RANDOM],
    stands: Stands,
}

#[derive(Debug)]
enum Stands {
    Password,
    Md5 {
        salt: [u8; 4],
    },
    /// The password that came in plain text is looked at.
    PasswordDerived {
        password: Vec<u8>,
    },
    ScramFirst,
    /// Its first words are there, and the verifier is being made.
    ScramDerived(Box<First>),
    ScramFinal(Box<Exchange>),
}

/// The client's first words.
#[derive(Debug)]
struct First {
    binding: String,
    nonce: String,
    bare: String,
}

/// A SCRAM exchange between its first and its last words.
#[derive(Debug)]
struct Exchange {
    verifier: Verifier,
    is_known: bool,
    /// `c=` as it must be.
    binding: String,
    nonce: String,
    first_bare: String,
    server_first: String,
}

/// What came of a client's answer.
#[derive(Debug)]
pub enum Asked {
    /// It is to be asked on.
    More(Vec<u8>),
    /// Keys are needed, which [`Asking::derived`] takes. It is to be run elsewhere.
    Derive(Derivation),
    /// It is who it says. What it is still to be told, and what the server can be answered with.
    Proven(Vec<u8>, Credential),
}

impl Asking {
    /// Begins to ask. A client without a secret is asked as everybody is, and fails in the end: nobody learns which
    /// users there are.
    ///
    /// # Errors
    /// The certificate that the method looks at is not there, or is another's.
    pub fn begin(
        client: Client,
        secret: Option<Secret>,
        random: [u8; RANDOM],
    ) -> Result<(Self, Asked), AuthError> {
        let mut out = Vec::new();
        let stands = match client.method {
            AuthMethod::Certificate => {
                if client.certificate_name.as_deref() != Some(client.user.as_str()) {
                    return Err(AuthError::Certificate { user: client.user });
                }
                let proven = Asked::Proven(Vec::new(), secret.into());
                return Ok((Self { client, secret: None, random, stands: Stands::Password }, proven));
            }
            AuthMethod::Password => {
                sasl::request(&mut out, sasl::CLEARTEXT, &[]);
                Stands::Password
            }
            AuthMethod::Md5 if !matches!(secret, Some(Secret::Scram(_))) => {
                let salt = random.first_chunk().copied().unwrap_or_default();
                sasl::request(&mut out, sasl::MD5, &salt);
                Stands::Md5 { salt }
            }
            // As the server does, md5 asks for SCRAM where that is what is stored.
            AuthMethod::Md5 | AuthMethod::Scram => {
                let mechanisms: &[&[u8]] =
                    if client.end_point.is_some() { &[SCRAM_PLUS, SCRAM] } else { &[SCRAM] };
                sasl::offer(&mut out, mechanisms);
                Stands::ScramFirst
            }
        };
        Ok((Self { client, secret, random, stands }, Asked::More(out)))
    }

    /// The client's answer, the body of its message.
    ///
    /// # Errors
    /// It has not proved who it is, or it speaks no SCRAM.
    pub fn hear(&mut self, body: &[u8]) -> Result<Asked, AuthError> {
        match &self.stands {
            Stands::Password => self.password(body),
            // Nothing was asked for yet.
            Stands::PasswordDerived { .. } | Stands::ScramDerived(_) => {
                Err(AuthError::Malformed { problem: "an answer without a question" })
            }
            Stands::Md5 { salt } => self.md5(*salt, body),
            Stands::ScramFirst => self.scram_first(body),
            Stands::ScramFinal(exchange) => {
                let (proof, keys) = scram_final(exchange, body)?.ok_or_else(|| self.failed())?;
                // The salt of a password's verifier is ours: its keys are of no use to anybody else.
                let credential = match &self.secret {
                    Some(Secret::Password(password)) => Credential::Password(password.clone()),
                    Some(Secret::Md5(_) | Secret::Scram(_)) | None => Credential::Keys(keys),
                };
                Ok(Asked::Proven(proof, credential))
            }
        }
    }

    fn failed(&self) -> AuthError {
        AuthError::Failed { user: self.client.user.clone() }
    }

    /// The keys that were to be derived.
    ///
    /// # Errors
    /// It has not proved who it is.
    pub fn derived(&mut self, keys: Keys) -> Result<Asked, AuthError> {
        match std::mem::replace(&mut self.stands, Stands::ScramFirst) {
            Stands::PasswordDerived { password } => {
                let is_right = self.secret.as_ref().is_some_and(|secret| secret.has(&keys));
                self.proven_by(password, is_right)
            }
            Stands::ScramDerived(first) => Ok(self.ask_for_proof(*first, Verifier::of(keys), true)),
            Stands::Password | Stands::Md5 { .. } | Stands::ScramFirst | Stands::ScramFinal(_) => {
                Err(AuthError::Malformed { problem: "keys without a question" })
            }
        }
    }

    fn password(&mut self, body: &[u8]) -> Result<Asked, AuthError> {
        let password = body.strip_suffix(b"\0").unwrap_or(body).to_vec();
        let is_right = self.secret.as_ref().map(|secret| secret.is(&self.client.user, &password));
        match is_right {
            Some(Err(derivation)) if !password.is_empty() => {
                self.stands = Stands::PasswordDerived { password };
                Ok(Asked::Derive(derivation))
            }
            Some(Ok(is_right)) => self.proven_by(password, is_right),
            Some(Err(_)) | None => Err(self.failed()),
        }
    }

    fn proven_by(&self, password: Vec<u8>, is_right: bool) -> Result<Asked, AuthError> {
        if !is_right || password.is_empty() {
            return Err(self.failed());
        }
        Ok(Asked::Proven(Vec::new(), Credential::Password(password)))
    }

    fn md5(&self, salt: [u8; 4], body: &[u8]) -> Result<Asked, AuthError> {
        let stored = match &self.secret {
            Some(Secret::Password(password)) => md5::stored(self.client.user.as_bytes(), password),
            Some(Secret::Md5(hash)) => hash.clone(),
            Some(Secret::Scram(_)) | None => return Err(self.failed()),
        };
        let answer = body.strip_suffix(b"\0").unwrap_or(body);
        if !super::scram::are_same(answer, md5::answer(&stored, &salt).as_bytes()) {
            return Err(self.failed());
        }
        Ok(Asked::Proven(Vec::new(), self.secret.clone().into()))
    }

    /// `SASLInitialResponse`: mechanism, and the client's first words.
    fn scram_first(&mut self, body: &[u8]) -> Result<Asked, AuthError> {
        let wrong = |problem| AuthError::Malformed { problem };
        let (mechanism, words) = sasl::initial_response(body).ok_or(wrong("no initial response"))?;
        let words = std::str::from_utf8(words).map_err(|_utf8| wrong("not UTF-8"))?;
        let is_plus = mechanism == SCRAM_PLUS;
        if !is_plus && mechanism != SCRAM {
            return Err(wrong("the mechanism was not offered"));
        }
        let (header, first_bare) = [END_POINT, "y,,", "n,,"]
            .iter()
            .find_map(|header| words.strip_prefix(header).map(|rest| (*header, rest)))
            .ok_or(wrong("unexpected channel-binding flag"))?;
        let binding = match (header, &self.client.end_point) {
            (END_POINT, Some(end_point)) if is_plus => [header.as_bytes(), end_point].concat(),
            ("y,,", Some(_)) => return Err(AuthError::Downgrade),
            ("y,," | "n,,", _) if !is_plus => header.as_bytes().to_vec(),
            _ => return Err(wrong("channel binding and mechanism do not go together")),
        };
        let theirs = first_bare.split(',').find_map(|word| word.strip_prefix("r="));
        let theirs = theirs.filter(|nonce| !nonce.is_empty()).ok_or(wrong("no nonce"))?;
        if first_bare.starts_with("m=") {
            return Err(wrong("mandatory extensions are not supported"));
        }
        let nonce = format!("{theirs}{}", encode(&self.random));
        let first = First { binding: encode(&binding), nonce, bare: first_bare.to_owned() };
        match &self.secret {
            Some(Secret::Scram(verifier)) => {
                let verifier = verifier.clone();
                Ok(self.ask_for_proof(first, verifier, true))
            }
            Some(Secret::Password(password)) => {
                let derivation = Derivation::new(password, &self.salt(), ITERATIONS);
                self.stands = Stands::ScramDerived(Box::new(first));
                Ok(Asked::Derive(derivation))
            }
            Some(Secret::Md5(_)) | None => {
                let (salt, no_key) = (self.salt(), [0; 32]);
                let verifier =
                    Verifier { iterations: ITERATIONS, salt, stored_key: no_key, server_key: no_key };
                Ok(self.ask_for_proof(first, verifier, false))
            }
        }
    }

    /// The salt of a password of ours, and of who has none: the same each time, and nobody can tell which of the two it
    /// is. Source: `mock_scram_secret`.
    fn salt(&self) -> Vec<u8> {
        let salt = hmac(&self.client.salt_key, &[self.client.user.as_bytes()]);
        salt.get(..16).unwrap_or_default().to_vec()
    }

    fn ask_for_proof(&mut self, first: First, verifier: Verifier, is_known: bool) -> Asked {
        let First { binding, nonce, bare: first_bare } = first;
        let salt = encode(&verifier.salt);
        let server_first = format!("r={nonce},s={salt},i={}", verifier.iterations);
        let mut out = Vec::new();
        sasl::request(&mut out, sasl::CONTINUE, server_first.as_bytes());
        let exchange = Exchange { verifier, is_known, binding, nonce, first_bare, server_first };
        self.stands = Stands::ScramFinal(Box::new(exchange));
        Asked::More(out)
    }
}

/// The client's last words: none, if they are no proof; else what proves us to it, and its keys.
fn scram_final(exchange: &Exchange, body: &[u8]) -> Result<Option<(Vec<u8>, Keys)>, AuthError> {
    let wrong = |problem| AuthError::Malformed { problem };
    let words = std::str::from_utf8(body).map_err(|_utf8| wrong("not UTF-8"))?;
    let (without_proof, proof) = words.rsplit_once(",p=").ok_or(wrong("no proof"))?;
    let rest = without_proof.strip_prefix("c=").ok_or(wrong("no channel binding"))?;
    let (binding, nonce) = rest.split_once(",r=").ok_or(wrong("no nonce"))?;
    if binding != exchange.binding {
        return Err(AuthError::Binding);
    }
    if nonce != exchange.nonce {
        return Err(wrong("nonce does not match"));
    }
    let auth_message = format!("{},{},{without_proof}", exchange.first_bare, exchange.server_first);
    let proof = decode(proof).ok_or(wrong("the proof is not base64"))?;
    let client_key = exchange.verifier.client_key(auth_message.as_bytes(), &proof);
    let Some(client_key) = client_key.filter(|_| exchange.is_known) else { return Ok(None) };
    let Verifier { iterations, salt, server_key, .. } = exchange.verifier.clone();
    let signature = server_signature(&server_key, auth_message.as_bytes());
    let mut out = Vec::new();
    sasl::request(&mut out, sasl::FINAL, format!("v={}", encode(&signature)).as_bytes());
    Ok(Some((out, Keys { iterations, salt, client_key, server_key })))
}
