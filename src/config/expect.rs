//! Sessions that go round the proxy and are known to: `user=backup`, `application=pg_exporter,database=postgres`,
//! `address=10.0.0.0/8`.

use core::net::IpAddr;
use std::fmt;

/// What all holds of an expected session; at least one term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    text: String,
    terms: Vec<Term>,
}

/// One thing that holds of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Term {
    /// Its role.
    User(String),
    /// The name that it gives itself.
    Application(String),
    /// Its database.
    Database(String),
    /// It came by a Unix socket.
    Local,
    /// Its address begins with so many bits of that one.
    Network(IpAddr, u8),
}

impl Expectation {
    /// Reads terms with commas between them: all must hold.
    ///
    /// # Errors
    /// What was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let terms = text.split(',').map(term).collect::<Result<Vec<_>, String>>()?;
        Ok(Self { text: text.to_owned(), terms })
    }

    /// All of these must hold.
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn term(text: &str) -> Result<Term, String> {
    let wrong = || {
        format!("expected user=…, application=…, database=… or address=…, with commas between, got {text:?}")
    };
    let (key, value) = text.trim().split_once('=').ok_or_else(wrong)?;
    if value.is_empty() {
        return Err(wrong());
    }
    match key {
        "user" => Ok(Term::User(value.into())),
        "application" => Ok(Term::Application(value.into())),
        "database" => Ok(Term::Database(value.into())),
        "address" if value == "local" => Ok(Term::Local),
        "address" => network(value)
            .ok_or_else(|| format!("address: expected 10.1.2.3, 10.0.0.0/8, ::1 or local, got {value:?}")),
        _ => Err(wrong()),
    }
}

fn network(text: &str) -> Option<Term> {
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.map_or(Some(most), |bits| bits.parse().ok())?;
    (bits <= most).then_some(Term::Network(address, bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_put_together_with_commas() {
        let read = Expectation::parse("user=backup,address=10.0.0.0/8").unwrap();
        assert_eq!(
            read.terms(),
            [Term::User("backup".into()), Term::Network(IpAddr::from([10, 0, 0, 0]), 8)]
        );
        assert_eq!(Expectation::parse("address=local").unwrap().terms(), [Term::Local]);
        assert_eq!(read.to_string(), "user=backup,address=10.0.0.0/8");
    }

    #[test]
    fn what_is_no_expectation_says_what_was_expected() {
        for wrong in ["", "backup", "role=x", "user=", "address=10.0.0.0/33", "address=host", "user=a,,"] {
            assert!(Expectation::parse(wrong).unwrap_err().contains("expected"), "{wrong}");
        }
    }
}
