//! TLS to clients: the proxy's own certificate, and whose certificates it accepts of them. The files can be read
//! anew while the proxy runs; files that are no good leave everything as it was.
//! Source: manual, "Secure TCP/IP Connections with SSL"; `be_tls_init` in `be-secure-openssl.c`.

use super::{
    ALPN,
    error::TlsError,
    files::{certificates, identity},
    server_leg::versions,
    verify::ClientJudge,
};
use crate::{
    config::{ClientCertificate, TlsPolicy, TlsSettings},
    trust::{Certificate, Roots},
};
use rustls::{
    DistinguishedName, ServerConfig, crypto::ring, server::WebPkiClientVerifier,
    server::danger::ClientCertVerifier, sign::SingleCertAndKey,
};
use std::sync::{Arc, Mutex, PoisonError};

/// See the module's text.
#[derive(Debug)]
pub struct Doorway {
    settings: TlsSettings,
    presented: Mutex<Arc<Presented>>,
}

/// What clients are shown now.
#[derive(Debug)]
pub struct Presented {
    /// What a client's socket is wrapped with.
    pub config: Arc<ServerConfig>,
    /// The hash that `tls-server-end-point` binds a SCRAM login to; none where the certificate has none.
    pub end_point: Option<Vec<u8>>,
}

impl Doorway {
    /// Reads the files.
    ///
    /// # Errors
    /// A file can't be read, or is not what it should be.
    pub fn new(settings: TlsSettings) -> Result<Self, TlsError> {
        let presented = Mutex::new(Arc::new(present(&settings)?));
        Ok(Self { settings, presented })
    }

    /// Reads the files again. Whoever is connected keeps what he has.
    ///
    /// # Errors
    /// A file can't be read, or is not what it should be; what was there before stays.
    pub fn reload(&self) -> Result<(), TlsError> {
        let presented = Arc::new(present(&self.settings)?);
        *self.lock() = presented;
        Ok(())
    }

    /// Whether a client must encrypt.
    pub fn policy(&self) -> TlsPolicy {
        self.settings.policy
    }

    /// What a new client is shown.
    pub fn presented(&self) -> Arc<Presented> {
        Arc::clone(&self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Arc<Presented>> {
        // It is swapped whole.
        self.presented.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn present(settings: &TlsSettings) -> Result<Presented, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let identity = identity(&provider, ("tls.cert", &settings.cert), ("tls.key", &settings.key))?;
    let leaf = identity.cert.first().and_then(|leaf| Certificate::read(leaf).ok());
    let end_point = leaf.and_then(|leaf| leaf.end_point());
    let judge: Arc<dyn ClientCertVerifier> = match &settings.client_ca {
        None => WebPkiClientVerifier::no_client_auth(),
        Some(path) => {
            let algorithms = provider.signature_verification_algorithms;
            let roots = Roots::new(certificates("tls.client_ca", path)?, algorithms.all);
            let subjects = roots.subjects().into_iter().map(DistinguishedName::from).collect();
            let is_needed = settings.client_certificate == ClientCertificate::Require;
            Arc::new(ClientJudge { roots: Arc::new(roots), subjects, is_needed, algorithms })
        }
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions(settings.min_version))?
        .with_client_cert_verifier(judge)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(identity)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Presented { config: Arc::new(config), end_point })
}
