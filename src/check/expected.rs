//! Whether a session that goes round the proxy was told of beforehand.

use super::facts::Backend;
use crate::config::{Expectation, Term};
use core::net::IpAddr;

/// Whether any of them means that session.
pub(super) fn is_expected(backend: &Backend, expected: &[Expectation]) -> bool {
    expected.iter().any(|expectation| expectation.terms().iter().all(|term| holds(term, backend)))
}

fn holds(term: &Term, backend: &Backend) -> bool {
    match term {
        Term::User(name) => backend.user.as_deref() == Some(name),
        Term::Application(name) => backend.application.as_deref() == Some(name),
        Term::Database(name) => backend.database.as_deref() == Some(name),
        // Hidden is not local: only where the kind is told, no address means a socket.
        Term::Local => backend.address.is_none() && backend.kind.is_some(),
        Term::Network(network, bits) => {
            let address = backend.address.as_deref().and_then(|text| text.parse().ok());
            address.is_some_and(|address| is_within(address, *network, *bits))
        }
    }
}

fn is_within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let beyond = 32_u32.saturating_sub(bits.into());
            let head = |ip: core::net::Ipv4Addr| ip.to_bits().checked_shr(beyond).unwrap_or(0);
            head(address) == head(network)
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let beyond = 128_u32.saturating_sub(bits.into());
            let head = |ip: core::net::Ipv6Addr| ip.to_bits().checked_shr(beyond).unwrap_or(0);
            head(address) == head(network)
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backend() -> Backend {
        Backend {
            user: Some("backup".into()),
            database: Some("shop".into()),
            application: Some("pg_dump".into()),
            address: Some("10.1.2.3".into()),
            kind: Some("client backend".into()),
            ..Backend::default()
        }
    }

    fn means(text: &str, backend: &Backend) -> bool {
        is_expected(backend, &[Expectation::parse(text).unwrap()])
    }

    #[test]
    fn all_terms_must_hold() {
        let expects = |text| means(text, &backend());
        assert!(expects("user=backup"));
        assert!(expects("user=backup,application=pg_dump,database=shop"));
        assert!(!expects("user=backup,application=psql"));
        assert!(expects("address=10.0.0.0/8") && expects("address=10.1.2.3") && expects("address=0.0.0.0/0"));
        assert!(!expects("address=10.1.2.4") && !expects("address=::/0") && !expects("address=local"));
        let local = Backend { address: None, ..backend() };
        assert!(means("address=local", &local));
        let hidden = Backend { kind: None, ..local };
        assert!(!means("address=local", &hidden));
    }
}
