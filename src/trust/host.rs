//! Whether a certificate is made out to a host: libpq's rules, which look at CN where no name of the host's kind
//! stands among the alternative names.
//! Source: `pq_verify_peer_name_matches_certificate` and what it calls, in `fe-secure-common.c` and
//! `fe-secure-openssl.c`.

use super::{certificate::Certificate, error::TrustError};
use core::net::IpAddr;
use x509_cert::ext::pkix::{SubjectAltName, name::GeneralName};

impl Certificate<'_> {
    /// Whether it is made out to that host, by name or number.
    ///
    /// # Errors
    /// It is made out to somebody else, who is named.
    pub fn verify_host(&self, host: &str) -> Result<(), TrustError> {
        let number = host.parse::<IpAddr>().ok();
        let alternatives = self.parsed.tbs_certificate().get_extension::<SubjectAltName>().ok().flatten();
        let alternatives = alternatives.map(|(_, names)| names.0).unwrap_or_default();
        let mut looks_at_common_name = true;
        let mut names = Vec::new();
        for name in &alternatives {
            match name {
                GeneralName::DnsName(name) => {
                    looks_at_common_name &= number.is_some();
                    if name_matches(name.as_str(), host) {
                        return Ok(());
                    }
                    names.push(name.to_string());
                }
                GeneralName::IpAddress(octets) => {
                    looks_at_common_name &= number.is_none();
                    let number_named = ip(octets.as_bytes());
                    if number_named.is_some() && number_named == number {
                        return Ok(());
                    }
                    names.extend(number_named.map(|ip| ip.to_string()));
                }
                GeneralName::OtherName(_)
                | GeneralName::Rfc822Name(_)
                | GeneralName::DirectoryName(_)
                | GeneralName::EdiPartyName(_)
                | GeneralName::UniformResourceIdentifier(_)
                | GeneralName::RegisteredId(_) => {}
            }
        }
        if looks_at_common_name && let Some(name) = self.common_name() {
            if name_matches(&name, host) {
                return Ok(());
            }
            names.push(name);
        }
        Err(TrustError::Name { names: told(&names), host: host.into() })
    }
}

fn ip(octets: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(octets).map(IpAddr::from).ok();
    four.or_else(|| <[u8; 16]>::try_from(octets).map(IpAddr::from).ok())
}

/// A star stands for one whole label, the first. Source: `wildcard_certificate_match`.
fn name_matches(pattern: &str, host: &str) -> bool {
    if pattern.eq_ignore_ascii_case(host) {
        return true;
    }
    let Some(suffix) =
        pattern.strip_prefix('*').filter(|suffix| suffix.len() >= 2 && suffix.starts_with('.'))
    else {
        return false;
    };
    let Some((label, rest)) = host.split_once('.') else { return false };
    !label.is_empty() && suffix.get(1..).is_some_and(|suffix| suffix.eq_ignore_ascii_case(rest))
}

fn told(names: &[String]) -> String {
    match names {
        [] => "nobody".into(),
        [one] => format!("\"{one}\""),
        [one, more @ ..] => format!("\"{one}\" (and {} other names)", more.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_one_label_in_front_and_nothing_else() {
        for (pattern, host) in
            [("db.example", "DB.Example"), ("*.example.com", "a.example.com"), ("10.0.0.1", "10.0.0.1")]
        {
            assert!(name_matches(pattern, host), "{pattern} {host}");
        }
        for (pattern, host) in [
            ("*.example.com", "a.b.example.com"),
            ("*.example.com", "example.com"),
            ("*.example.com", ".example.com"),
            ("a*.example.com", "ab.example.com"),
            ("*", "localhost"),
            ("*.", "a."),
            ("a.*.com", "a.b.com"),
        ] {
            assert!(!name_matches(pattern, host), "{pattern} {host}");
        }
    }
}
