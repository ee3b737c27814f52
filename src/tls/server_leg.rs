//! TLS to the server: libpq's `sslmode`, `sslrootcert`, `sslcert`, `sslkey`.
//! Source: manual, "SSL Support" (libpq); `initialize_SSL` in `fe-secure-openssl.c`.

use super::{
    ALPN,
    error::TlsError,
    files::{certificates, identity},
    verify::ServerJudge,
};
use crate::{
    config::{Conninfo, Host, SslMode, TlsVersion},
    trust::Roots,
};
use rustls::{
    ClientConfig, SupportedProtocolVersion,
    crypto::{CryptoProvider, ring},
    pki_types::ServerName,
    sign::SingleCertAndKey,
    version::{TLS12, TLS13},
};
use std::{net::Ipv4Addr, path::Path, sync::Arc};

/// For each host of a connection string, what its sockets are wrapped with.
#[derive(Debug)]
pub struct ServerTls {
    hosts: Vec<Wrapping>,
}

#[derive(Debug, Clone)]
struct Wrapping {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl ServerTls {
    /// Reads the files that a connection string names.
    ///
    /// # Errors
    /// A file can't be read, or is not what it should be.
    pub fn new(info: &Conninfo) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let roots = roots(info, &provider)?.map(Arc::new);
        let own = match (&info.ssl_cert, &info.ssl_key) {
            (Some(cert), Some(key)) => {
                let identity = identity(&provider, ("sslcert", cert), ("sslkey", key))?;
                Some(Arc::new(SingleCertAndKey::from(identity)))
            }
            _ => None,
        };
        let wrap = |host: &Host| {
            let judge = ServerJudge {
                roots: roots.clone(),
                host: (info.ssl_mode == SslMode::VerifyFull).then(|| name(host)),
                algorithms: provider.signature_verification_algorithms,
            };
            let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
                .with_protocol_versions(versions(info.ssl_min_version))?
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(judge));
            let mut config = match &own {
                Some(own) => builder.with_client_cert_resolver(Arc::<SingleCertAndKey>::clone(own)),
                None => builder.with_no_client_auth(),
            };
            config.alpn_protocols = vec![ALPN.to_vec()];
            // What is no name is not told; the verifier knows whose certificate it must be.
            let nobody = || ServerName::from(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED));
            let name = ServerName::try_from(name(host)).unwrap_or_else(|_| nobody());
            Ok(Wrapping { config: Arc::new(config), name })
        };
        let hosts = info.hosts.iter().map(wrap).collect::<Result<_, TlsError>>()?;
        Ok(Self { hosts })
    }

    /// What a socket to that host is wrapped with, and the name that the server is told.
    pub fn wrapping(&self, host: usize) -> Option<(Arc<ClientConfig>, ServerName<'static>)> {
        self.hosts.get(host).map(|wrapping| (Arc::clone(&wrapping.config), wrapping.name.clone()))
    }
}

fn name(host: &Host) -> String {
    match host {
        Host::Tcp { name, .. } => name.clone(),
        Host::Unix { folder, .. } => folder.display().to_string(),
    }
}

/// Who is trusted; none: nobody is looked for. As in libpq, `require` with a root certificate is `verify-ca`.
fn roots(info: &Conninfo, provider: &CryptoProvider) -> Result<Option<Roots>, TlsError> {
    let path = match (info.ssl_mode, &info.ssl_root_cert) {
        (SslMode::Disable | SslMode::Allow | SslMode::Prefer, _) | (_, None) => return Ok(None),
        (SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull, Some(path)) => path,
    };
    let found = if path == Path::new("system") { system()? } else { certificates("sslrootcert", path)? };
    Ok(Some(Roots::new(found, provider.signature_verification_algorithms.all)))
}

fn system() -> Result<Vec<rustls::pki_types::CertificateDer<'static>>, TlsError> {
    let loaded = rustls_native_certs::load_native_certs();
    if loaded.certs.is_empty() {
        let problems: Vec<String> = loaded.errors.iter().map(ToString::to_string).collect();
        let problem = if problems.is_empty() { "none are installed".to_owned() } else { problems.join("; ") };
        return Err(TlsError::NoSystemRoots { problem });
    }
    Ok(loaded.certs)
}

static BOTH: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];
static NEW: [&SupportedProtocolVersion; 1] = [&TLS13];

pub(super) fn versions(least: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    match least {
        TlsVersion::V12 => &BOTH,
        TlsVersion::V13 => &NEW,
    }
}
