//! Whether somebody who is trusted vouches for a certificate. webpki judges, by the rules of the web; where it
//! refuses only because the rules are the web's (a certificate of version 1, or an authority's own certificate
//! used as a server's), a smaller judge of our own walks from the certificate to a root.

use super::{
    certificate::{Certificate, inside},
    error::TrustError,
};
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use std::time::Duration;
use webpki::{EndEntityCert, Error, KeyUsage, anchor_from_trusted_cert};
use x509_cert::{
    certificate::Version,
    der::{Encode as _, oid::AssociatedOid as _, oid::ObjectIdentifier},
    ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage as Usages, SubjectAltName},
};

/// Certificates between a leaf and its root, both included. OpenSSL's own limit is 100; nobody uses ten.
const DEPTH_LIMIT: usize = 8;
/// Certificates that a peer may send.
const SENT_LIMIT: usize = 32;

/// What a certificate is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// By a server, to its client.
    Server,
    /// By a client, to its server.
    Client,
}

impl Purpose {
    fn name(self) -> &'static str {
        match self {
            Self::Server => "a server",
            Self::Client => "a client",
        }
    }

    /// `id-kp-serverAuth` and `id-kp-clientAuth`. Source: RFC 5280, section 4.2.1.12.
    fn oid(self) -> ObjectIdentifier {
        match self {
            Self::Server => ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1"),
            Self::Client => ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2"),
        }
    }
}

/// The algorithms that signatures may have.
pub(super) type Algorithms = &'static [&'static dyn SignatureVerificationAlgorithm];

/// Who is trusted.
#[derive(Debug)]
pub struct Roots {
    certificates: Vec<CertificateDer<'static>>,
    anchors: Vec<TrustAnchor<'static>>,
    algorithms: Algorithms,
}

impl Roots {
    /// These authorities; what is no certificate among them is left out, as it can vouch for nobody.
    pub fn new(certificates: Vec<CertificateDer<'static>>, algorithms: Algorithms) -> Self {
        let anchors = certificates.iter().filter_map(|der| anchor_from_trusted_cert(der).ok());
        let anchors = anchors.map(|anchor| anchor.to_owned()).collect();
        Self { certificates, anchors, algorithms }
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.certificates.is_empty()
    }

    /// The roots' names, in their DER form: what a server tells its clients that it trusts.
    pub fn subjects(&self) -> Vec<Vec<u8>> {
        let read = self.certificates.iter().filter_map(|der| Certificate::read(der).ok());
        read.filter_map(|root| root.parsed.tbs_certificate().subject().to_der().ok()).collect()
    }

    /// Whether one of them vouches for a certificate, by way of others that came with it.
    ///
    /// # Errors
    /// None does, or it is not valid now, or not for this.
    pub fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
        purpose: Purpose,
    ) -> Result<(), TrustError> {
        let usage = match purpose {
            Purpose::Server => KeyUsage::server_auth(),
            Purpose::Client => KeyUsage::client_auth(),
        };
        let judged = EndEntityCert::try_from(leaf).and_then(|leaf| {
            leaf.verify_for_usage(self.algorithms, &self.anchors, others, now, usage, None, None).map(drop)
        });
        match judged {
            Ok(()) => Ok(()),
            Err(Error::CaUsedAsEndEntity | Error::UnsupportedCertVersion) => {
                self.walk(leaf, others, now, purpose)
            }
            Err(Error::CertExpired { .. }) => Err(TrustError::Expired),
            Err(Error::CertNotValidYet { .. }) => Err(TrustError::NotYetValid),
            Err(Error::UnknownIssuer) => Err(TrustError::UnknownIssuer),
            Err(Error::RequiredEkuNotFoundContext(_)) => {
                Err(TrustError::WrongPurpose { purpose: purpose.name() })
            }
            Err(error) => Err(TrustError::Chain { problem: error.to_string() }),
        }
    }

    /// From the leaf to its issuer, and on to a root. Only the first issuer that fits is followed: nobody has a
    /// choice of ways who made his certificates by hand.
    fn walk(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
        purpose: Purpose,
    ) -> Result<(), TrustError> {
        let others = others.get(..others.len().min(SENT_LIMIT)).unwrap_or_default();
        let mut at = Certificate::read(leaf)?;
        at.is_valid_at(now)?;
        at.is_for(purpose)?;
        let mut der: &[u8] = leaf;
        for below in 0..DEPTH_LIMIT {
            if self.certificates.iter().any(|root| root.as_ref() == der) {
                return Ok(());
            }
            let candidates = self.certificates.iter().chain(others).filter(|other| other.as_ref() != der);
            let mut issuers = candidates.filter_map(|other| {
                let issuer = Certificate::read(other).ok()?;
                self.has_issued(&issuer, &at).then_some((other, issuer))
            });
            let Some((next, issuer)) = issuers.next() else { return Err(TrustError::UnknownIssuer) };
            issuer.is_valid_at(now)?;
            let is_root = self.certificates.iter().any(|root| root == next);
            issuer.may_issue(below, is_root)?;
            (der, at) = (next, issuer);
        }
        Err(TrustError::Chain {
            problem: format!("more than {DEPTH_LIMIT} certificates on the way to a root"),
        })
    }

    fn has_issued(&self, issuer: &Certificate<'_>, child: &Certificate<'_>) -> bool {
        let (above, below) = (issuer.parsed.tbs_certificate(), child.parsed.tbs_certificate());
        let key = above.subject_public_key_info();
        let (Some(signed), Some(signature), Some(key_bits)) =
            (child.signed_part(), child.parsed.signature().as_bytes(), key.subject_public_key.as_bytes())
        else {
            return false;
        };
        let (Some(key_algorithm), Some(algorithm)) =
            (inside(&key.algorithm), inside(child.parsed.signature_algorithm()))
        else {
            return false;
        };
        above.subject() == below.issuer()
            && below.signature() == child.parsed.signature_algorithm()
            && self.algorithms.iter().any(|known| {
                known.signature_alg_id().as_ref() == algorithm.as_slice()
                    && known.public_key_alg_id().as_ref() == key_algorithm.as_slice()
                    && known.verify_signature(key_bits, signed, signature).is_ok()
            })
    }
}

/// What the smaller judge asks of a certificate.
impl Certificate<'_> {
    fn is_valid_at(&self, now: UnixTime) -> Result<(), TrustError> {
        let validity = self.parsed.tbs_certificate().validity();
        let now = Duration::from_secs(now.as_secs());
        if now < validity.not_before.to_unix_duration() {
            return Err(TrustError::NotYetValid);
        }
        if now > validity.not_after.to_unix_duration() {
            return Err(TrustError::Expired);
        }
        Ok(())
    }

    fn is_for(&self, purpose: Purpose) -> Result<(), TrustError> {
        self.knows_what_is_critical()?;
        match self.parsed.tbs_certificate().get_extension::<ExtendedKeyUsage>() {
            Ok(None) => Ok(()),
            Ok(Some((_, usages))) if usages.0.contains(&purpose.oid()) => Ok(()),
            Ok(Some(_)) | Err(_) => Err(TrustError::WrongPurpose { purpose: purpose.name() }),
        }
    }

    /// An authority says that it is one; a root of version 1 had no way to say so. `below` is the number of
    /// authorities between it and the leaf.
    fn may_issue(&self, below: usize, is_root: bool) -> Result<(), TrustError> {
        self.knows_what_is_critical()?;
        let part = self.parsed.tbs_certificate();
        if is_root && part.version() == Version::V1 {
            return Ok(());
        }
        let no = |problem: &str| Err(TrustError::Chain { problem: problem.into() });
        let Ok(Some((_, constraints))) = part.get_extension::<BasicConstraints>() else {
            return no("its issuer is not an authority");
        };
        let most = constraints.path_len_constraint.map_or(DEPTH_LIMIT, usize::from);
        if !constraints.ca || below > most {
            return no("its issuer may not issue it");
        }
        match part.get_extension::<Usages>() {
            Ok(None) => Ok(()),
            Ok(Some((_, usages))) if usages.key_cert_sign() => Ok(()),
            Ok(Some(_)) | Err(_) => no("its issuer may not sign certificates"),
        }
    }

    /// An extension that is critical and that this judge does not look at makes the certificate void (RFC 5280,
    /// section 4.2): so do name constraints.
    fn knows_what_is_critical(&self) -> Result<(), TrustError> {
        let known = [BasicConstraints::OID, ExtendedKeyUsage::OID, Usages::OID, SubjectAltName::OID];
        let extensions = self.parsed.tbs_certificate().extensions().map_or(&[][..], Vec::as_slice);
        match extensions.iter().find(|extension| extension.critical && !known.contains(&extension.extn_id)) {
            None => Ok(()),
            Some(extension) => Err(TrustError::Chain {
                problem: format!("critical extension {} is unknown", extension.extn_id),
            }),
        }
    }
}
