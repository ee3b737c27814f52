//! What is known of a user, and where it is written down.

use super::{
    error::AuthError,
    md5,
    scram::{Derivation, Keys, Verifier, are_same},
};
use std::{collections::HashMap, fmt};

/// What is known of one user.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// The password itself.
    Password(Vec<u8>),
    /// `md5` and 32 digits, as the server stores it.
    Md5(String),
    /// A SCRAM verifier, as the server stores it.
    Scram(Verifier),
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())
    }
}

impl Secret {
    /// Reads what `pg_authid.rolpassword` holds; what looks like neither of its forms is a password. Source:
    /// `get_password_type` in `crypt.c`.
    pub fn parse(text: &str) -> Self {
        let digits = text.strip_prefix("md5").filter(|digits| digits.len() == 32);
        if digits.is_some_and(|digits| digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))) {
            return Self::Md5(text.into());
        }
        Verifier::parse(text).map_or_else(|| Self::Password(text.into()), Self::Scram)
    }

    /// What it is, for people.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Password(_) => "a password",
            Self::Md5(_) => "an md5 hash",
            Self::Scram(_) => "a SCRAM verifier",
        }
    }

    /// Whether that is the user's password; a verifier tells only when the password's keys are there.
    pub(super) fn is(&self, user: &str, password: &[u8]) -> Result<bool, Derivation> {
        match self {
            Self::Password(right) => Ok(are_same(right, password)),
            Self::Md5(hash) => {
                Ok(are_same(hash.as_bytes(), md5::stored(user.as_bytes(), password).as_bytes()))
            }
            Self::Scram(verifier) => Err(Derivation::new(password, &verifier.salt, verifier.iterations)),
        }
    }

    /// Whether these are the keys of the user's password.
    pub(super) fn has(&self, keys: &Keys) -> bool {
        matches!(self, Self::Scram(verifier) if are_same(&keys.server_key, &verifier.server_key))
    }
}

/// What the proxy can log in to the server with.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// Nothing: the server must not ask, or a certificate answers.
    None,
    /// A password.
    Password(Vec<u8>),
    /// What the server stores for md5.
    Md5(String),
    /// What a client's proof held.
    Keys(Keys),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())
    }
}

impl Credential {
    /// What it is, for people.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::None => "not there, or a SCRAM verifier without a client's proof",
            Self::Password(_) => "a password",
            Self::Md5(_) => "an md5 hash",
            Self::Keys(_) => "a SCRAM verifier",
        }
    }
}

impl From<Option<Secret>> for Credential {
    /// What a secret alone is good for; a verifier needs a client's proof.
    fn from(secret: Option<Secret>) -> Self {
        match secret {
            Some(Secret::Password(password)) => Self::Password(password),
            Some(Secret::Md5(hash)) => Self::Md5(hash),
            Some(Secret::Scram(_)) | None => Self::None,
        }
    }
}

/// The secrets of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Secrets(HashMap<String, Secret>);

impl Secrets {
    /// Reads lines of `"user" "secret"`, as PgBouncer's `auth_file` has them: a quote in a word is doubled, what
    /// begins with a semicolon or a number sign is a comment.
    ///
    /// # Errors
    /// A line is something else.
    pub fn parse(text: &str) -> Result<Self, AuthError> {
        let mut found = HashMap::new();
        for (number, line) in (1_usize..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with([';', '#']) {
                continue;
            }
            let words = word(line).and_then(|(user, rest)| Some((user, word(rest.trim_start())?.0)));
            let (user, secret) = words.ok_or(AuthError::SecretsLine { line: number })?;
            found.insert(user, Secret::parse(&secret));
        }
        Ok(Self(found))
    }

    /// What is known of a user.
    pub fn of(&self, user: &str) -> Option<Secret> {
        self.0.get(user).cloned()
    }
}

/// A quoted word off the front, and what follows it.
fn word(text: &str) -> Option<(String, &str)> {
    let (mut word, mut rest) = (String::new(), text.strip_prefix('"')?);
    loop {
        let (part, after) = rest.split_once('"')?;
        word.push_str(part);
        match after.strip_prefix('"') {
            Some(more) => {
                word.push('"');
                rest = more;
            }
            None => return Some((word, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_secrets_holds_every_kind() {
        let hash = md5::stored(b"b", b"x");
        let text = format!("; comment\n\n\"a\" \"pass \"\"word\"\"\"\n  \"b\"\t\"{hash}\" more\n");
        let secrets = Secrets::parse(&text).unwrap();
        assert_eq!(secrets.of("a"), Some(Secret::Password(b"pass \"word\"".to_vec())));
        assert_eq!(secrets.of("b"), Some(Secret::Md5(hash)));
        assert_eq!(secrets.of("c"), None);
        assert_eq!(Secrets::parse("\"a\" \"b\"\na b"), Err(AuthError::SecretsLine { line: 2 }));
        assert_eq!(Secrets::parse("\"a\" \"b"), Err(AuthError::SecretsLine { line: 1 }));
    }

    #[test]
    fn a_secret_is_never_shown_and_knows_its_password() {
        let salt = [7; 16];
        for secret in [
            Secret::Password(b"pw".to_vec()),
            Secret::Md5(md5::stored(b"ann", b"pw")),
            Secret::Scram(Verifier::of_password(b"pw", &salt)),
        ] {
            let is = |password| {
                secret.is("ann", password).unwrap_or_else(|derivation| secret.has(&derivation.run()))
            };
            assert!(is(b"pw") && !is(b"wrong"));
            assert!(!format!("{secret:?} {:?}", Credential::from(Some(secret.clone()))).contains("pw"));
        }
    }
}
