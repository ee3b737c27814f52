//! Any bytes as certificates, each behind its length in two bytes: the first is a peer's, the next came with it, the
//! last is trusted. Reading and judging end, nobody is trusted without a root, and a name never holds a NUL.
#![cfg_attr(fuzzing, no_main)]

use frostgate::trust::{Certificate, Purpose, Roots};
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use std::{sync::LazyLock, time::Duration};

/// In January 2027, when the seeds are valid.
const NOW: Duration = Duration::from_secs(1_800_000_000);

static ALGORITHMS: LazyLock<&'static [&'static dyn SignatureVerificationAlgorithm]> =
    LazyLock::new(|| rustls::crypto::ring::default_provider().signature_verification_algorithms.all);

fn run(bytes: &[u8]) {
    let all = certificates(bytes);
    let ([leaf, ..], [.., root]) = (all.as_slice(), all.as_slice()) else { return };
    if let Ok(read) = Certificate::read(leaf) {
        look_at(&read);
    }
    let now = UnixTime::since_unix_epoch(NOW);
    let others = all.get(1..).unwrap_or_default();
    let nobody = Roots::new(Vec::new(), *ALGORITHMS);
    let roots = Roots::new(vec![root.clone().into_owned()], *ALGORITHMS);
    assert!(nobody.is_empty() && nobody.subjects().is_empty());
    assert!(roots.subjects().len() <= 1);
    for purpose in [Purpose::Server, Purpose::Client] {
        assert!(nobody.verify(leaf, others, now, purpose).is_err(), "nobody is trusted");
        if roots.verify(leaf, others, now, purpose).is_ok() {
            assert!(Certificate::read(leaf).is_ok(), "what can't be read is not trusted");
        }
    }
}

fn certificates(mut bytes: &[u8]) -> Vec<CertificateDer<'_>> {
    let mut found = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        let (der, after) = rest.split_at(length);
        found.push(CertificateDer::from(der));
        bytes = after;
    }
    found
}

fn look_at(certificate: &Certificate<'_>) {
    if let Some(name) = certificate.common_name() {
        assert!(!name.contains('\0'));
    }
    assert!(certificate.end_point().is_none_or(|hash| matches!(hash.len(), 32 | 48 | 64)));
    drop((certificate.subject(), certificate.public_key()));
    for host in ["", "localhost", "127.0.0.1", "::1", "a.example"] {
        drop(certificate.verify_host(host));
    }
    assert!(certificate.verify_signature(*ALGORITHMS, b"never signed by anybody", &[0; 64]).is_err());
}

frostgate_fuzz::target!(run);
