//! What is in a certificate, as far as anybody here asks.

use super::error::TrustError;
use rustls_pki_types::SignatureVerificationAlgorithm;
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use x509_cert::{
    Certificate as Parsed,
    attr::AttributeTypeAndValue,
    der::{Decode as _, Encode as _, Reader as _, SliceReader, asn1::AnyRef, oid::ObjectIdentifier},
};

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
/// Hash algorithms as RSASSA-PSS names them, and the signature algorithms that go with them.
/// Source: RFC 8017, A.2; RFC 5758.
const SHA_384: [&str; 3] = ["2.16.840.1.101.3.4.2.2", "1.2.840.113549.1.1.12", "1.2.840.10045.4.3.3"];
const SHA_512: [&str; 3] = ["2.16.840.1.101.3.4.2.3", "1.2.840.113549.1.1.13", "1.2.840.10045.4.3.4"];
/// The same for SHA-256, and for MD5 and SHA-1, in whose place SHA-256 is used. Source: RFC 5929, section 4.1.
const SHA_256: [&str; 7] = [
    "2.16.840.1.101.3.4.2.1",
    "1.2.840.113549.1.1.11",
    "1.2.840.10045.4.3.2",
    "1.2.840.113549.1.1.4",
    "1.2.840.113549.1.1.5",
    "1.3.14.3.2.26",
    "1.2.840.10045.4.1",
];

/// A certificate that has been read.
#[derive(Debug)]
pub struct Certificate<'a> {
    der: &'a [u8],
    pub(super) parsed: Parsed,
}

impl<'a> Certificate<'a> {
    /// Reads one.
    ///
    /// # Errors
    /// It is no certificate.
    pub fn read(der: &'a [u8]) -> Result<Self, TrustError> {
        let parsed = Parsed::from_der(der).map_err(unreadable)?;
        Ok(Self { der, parsed })
    }

    /// The subject's first CN; none if there is none, or if a NUL in it would make it read as another one.
    /// Source: `pgtls_verify_peer_name_matches_certificate_guts`; `be_tls_open_server` (CVE-2009-4034).
    pub fn common_name(&self) -> Option<String> {
        let subject = self.parsed.tbs_certificate().subject();
        let name = subject.iter().find(|attribute| attribute.oid == COMMON_NAME)?;
        text(name).filter(|name| !name.contains('\0'))
    }

    /// The subject, as RFC 4514 writes it.
    pub fn subject(&self) -> String {
        self.parsed.tbs_certificate().subject().to_string()
    }

    /// The public key in its DER form.
    ///
    /// # Errors
    /// It can't be written as it was read.
    pub fn public_key(&self) -> Result<Vec<u8>, TrustError> {
        self.parsed.tbs_certificate().subject_public_key_info().to_der().map_err(unreadable)
    }

    /// Whether the holder of its key has signed that, by one of these algorithms.
    ///
    /// # Errors
    /// He has not, or the key is of another kind.
    pub fn verify_signature(
        &self,
        algorithms: &[&dyn SignatureVerificationAlgorithm],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), TrustError> {
        let key = self.parsed.tbs_certificate().subject_public_key_info();
        let (Some(bits), Some(kind)) = (key.subject_public_key.as_bytes(), inside(&key.algorithm)) else {
            return Err(TrustError::Signature);
        };
        let fits = |known: &&&dyn SignatureVerificationAlgorithm| {
            known.public_key_alg_id().as_ref() == kind.as_slice()
        };
        let mut fitting = algorithms.iter().filter(fits);
        let is_signed = fitting.any(|known| known.verify_signature(bits, message, signature).is_ok());
        if is_signed { Ok(()) } else { Err(TrustError::Signature) }
    }

    /// What `tls-server-end-point` binds a SCRAM login to: the certificate's hash, by the algorithm that it was
    /// signed with. None where that algorithm has no hash of its own (Ed25519): PostgreSQL can't bind to it either.
    /// Source: RFC 5929, section 4.1; `be_tls_get_certificate_hash`.
    pub fn end_point(&self) -> Option<Vec<u8>> {
        let algorithm = self.parsed.signature_algorithm();
        let oid = if algorithm.oid == RSA_PSS { self.pss_hash() } else { Some(algorithm.oid) }?;
        let is_one_of = |list: &[&str]| list.iter().any(|text| *text == oid.to_string());
        if is_one_of(&SHA_256) {
            Some(Sha256::digest(self.der).to_vec())
        } else if is_one_of(&SHA_384) {
            Some(Sha384::digest(self.der).to_vec())
        } else if is_one_of(&SHA_512) {
            Some(Sha512::digest(self.der).to_vec())
        } else {
            None
        }
    }

    /// `hashAlgorithm` stands first in RSASSA-PSS' parameters, and is SHA-1 if it is left out.
    fn pss_hash(&self) -> Option<ObjectIdentifier> {
        let parameters = self.parsed.signature_algorithm().parameters.as_ref()?;
        let inside = parameters.value();
        let Some((0xa0, _)) = inside.split_first() else {
            return ObjectIdentifier::new("1.3.14.3.2.26").ok();
        };
        let mut reader = SliceReader::new(inside).ok()?;
        let hash = AnyRef::decode(&mut reader).ok()?;
        let algorithm = AnyRef::from_der(hash.value()).ok()?;
        ObjectIdentifier::decode(&mut SliceReader::new(algorithm.value()).ok()?).ok()
    }

    /// The certificate's first part as it stands: what its issuer has signed.
    pub(super) fn signed_part(&self) -> Option<&'a [u8]> {
        let mut outside = SliceReader::new(self.der).ok()?;
        let whole = AnyRef::decode(&mut outside).ok()?;
        SliceReader::new(whole.value()).ok()?.tlv_bytes().ok()
    }
}

/// An algorithm's DER form without its outer head, as webpki compares it.
pub(super) fn inside(algorithm: &impl x509_cert::der::Encode) -> Option<Vec<u8>> {
    let der = algorithm.to_der().ok()?;
    let any = AnyRef::from_der(&der).ok()?;
    Some(any.value().to_vec())
}

fn text(attribute: &AttributeTypeAndValue) -> Option<String> {
    // Printable, IA5 and UTF-8 strings are UTF-8; what is not is no name of ours.
    String::from_utf8(attribute.value.value().to_vec()).ok()
}

fn unreadable(error: impl std::fmt::Display) -> TrustError {
    TrustError::Unreadable { problem: error.to_string() }
}
