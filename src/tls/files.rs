//! Certificates and keys, from files in PEM form.

use super::error::TlsError;
use crate::trust::Certificate;
use rustls::{
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject as _},
    sign::CertifiedKey,
};
use std::{fs, path::Path};

/// All certificates of a file; it holds one at least.
pub(super) fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(key, path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let content = |problem| TlsError::Content { key, path: path.into(), problem };
    let found = found.map_err(|error| content(format!("no certificates in PEM form: {}", told(&error))))?;
    if found.is_empty() {
        return Err(content("expected a certificate in PEM form, found none".into()));
    }
    for certificate in &found {
        Certificate::read(certificate).map_err(|error| content(error.to_string()))?;
    }
    Ok(found)
}

/// A certificate with those that vouch for it, and the key that goes with it.
pub(super) fn identity(
    provider: &CryptoProvider,
    (cert_key, cert): (&'static str, &Path),
    (key_key, key): (&'static str, &Path),
) -> Result<CertifiedKey, TlsError> {
    let chain = certificates(cert_key, cert)?;
    let content = |problem| TlsError::Content { key: key_key, path: key.into(), problem };
    let secret = read(key_key, key)?;
    warn_of_readers(key_key, key);
    let secret = PrivateKeyDer::from_pem_slice(&secret).map_err(|error| {
        let hint = "expected an unencrypted private key in PEM form";
        content(format!("{hint}: {}", told(&error)))
    })?;
    let signer =
        provider.key_provider.load_private_key(secret).map_err(|error| content(error.to_string()))?;
    let leaf = chain.first().map(|leaf| Certificate::read(leaf)).transpose();
    let public = leaf.and_then(|leaf| leaf.map(|leaf| leaf.public_key()).transpose());
    let public = public.map_err(|error| content(error.to_string()))?;
    if let (Some(ours), Some(theirs)) = (signer.public_key(), public)
        && ours.as_ref() != theirs
    {
        return Err(content(format!("it is not the key of the certificate in {}", cert.display())));
    }
    Ok(CertifiedKey::new(chain, signer))
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Read { key, path: path.into(), source })
}

/// PostgreSQL and libpq refuse a key that others may read; secrets that a cluster mounts often are so.
fn warn_of_readers(key: &'static str, path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(path).map_or(0, |data| data.permissions().mode());
    if mode & 0o077 != 0 {
        let mode = format!("{:04o}", mode & 0o7777);
        tracing::warn!(key, path = %path.display(), mode, "a private key that others than its owner may read");
    }
}

fn told(error: &pem::Error) -> String {
    if matches!(error, pem::Error::NoItemsFound) { "none found".into() } else { error.to_string() }
}
