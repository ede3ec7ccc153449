//! The fleet's certificate authority: a root that is carried away, an intermediate on the
//! controller, the server's certificate and those of devices. All keys are ECDSA P-256.
//!
//! Never takes a name from a certificate request: only the key in it counts.

use std::num::NonZeroU16;
use std::time::Duration;

use muster_protocol::digest::{Digest, Hex};
use muster_protocol::id::DeviceId;
use muster_protocol::time::UnixSeconds;
use muster_protocol::topic::CONTROLLER;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair,
    KeyUsagePurpose, SerialNumber,
};
use x509_parser::certificate::X509Certificate;

use crate::error::{Exit, OperatorError};
use crate::home::{self, Home};

mod found;
mod revocations;
mod tls_key;

pub(crate) use found::{Founded, LOCAL_NAMES, found, succeed};
pub(crate) use revocations::Replaced;
pub(crate) use tls_key::{BadRequest, TlsKey};

/// Life of the certificate that the fleet shows to a broker: it is made for one connection.
const CONTROLLER_DAYS: u64 = 7;
/// How far before its making a certificate begins to be valid: clocks differ.
const BACKDATE_S: u64 = 3600;
/// Random bytes of a serial number (at least 64 bits: CA/Browser Forum 7.1).
const SERIAL_BYTES: usize = 16;

/// Why a certificate cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthorityError {
    /// The system's randomness or the signature failed.
    #[error("a certificate cannot be signed: {because}")]
    Sign {
        /// What the library said.
        because: String,
    },
    /// Neither a host name nor an address.
    #[error("{name:?} is neither a host name nor an address")]
    Name {
        /// The name.
        name: String,
    },
}

impl From<rcgen::Error> for AuthorityError {
    fn from(error: rcgen::Error) -> Self {
        Self::Sign {
            because: error.to_string(),
        }
    }
}

/// A device's certificate with what the fleet keeps about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeviceCertificate {
    /// The certificate and the intermediate, PEM.
    pub(crate) chain_pem: String,
    /// Its serial number: lower-case hex of the bytes, without leading zero bytes.
    pub(crate) serial: String,
    /// When it ceases to be valid.
    pub(crate) expires: UnixSeconds,
}

/// A certificate with its key, both PEM.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// The certificate and what leads to the CA root.
    pub(crate) chain_pem: String,
    /// The key.
    pub(crate) key_pem: String,
}

/// The intermediate on the controller, which signs device certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    intermediate_pem: String,
    root_pem: String,
    root_digest: Digest,
}

impl Authority {
    /// Reads the intermediate of a home.
    ///
    /// # Errors
    /// A file that is missing, readable by others or not what it should be.
    pub(crate) fn load(home: &Home) -> Result<Self, OperatorError> {
        let root_pem = home::read_text(&home.ca_root_pem())?;
        let intermediate_pem = home::read_text(&home.ca_pem())?;
        let key_pem = home::read_secret(&home.ca_key())?;
        Self::new(root_pem, intermediate_pem, &key_pem).map_err(|because| {
            let what = format!("use the CA in {}", home.folder().display());
            let hint = "controller/ca.pem and ca.key belong together, as `muster init` wrote them";
            OperatorError::new(Exit::BadInput, what, because, hint)
        })
    }

    /// Makes the certificate of a device: its name, this key, for clients only, for some days.
    ///
    /// # Errors
    /// [`AuthorityError::Sign`].
    pub(crate) fn issue_device(
        &self,
        device: &DeviceId,
        key: &TlsKey,
        now: UnixSeconds,
        days: NonZeroU16,
    ) -> Result<DeviceCertificate, AuthorityError> {
        let params = client(device.as_str(), now, days.get().into())?;
        let serial = params.serial_number.as_ref().map(SerialNumber::to_bytes);
        let certificate = params.signed_by(key, &self.issuer)?;
        Ok(DeviceCertificate {
            chain_pem: certificate.pem() + &self.intermediate_pem,
            serial: Hex(&serial.unwrap_or_default()).to_string(),
            expires: now.plus_days(days.get().into()),
        })
    }

    /// Makes the certificate with which the fleet itself connects to a broker, and its key: both
    /// are kept nowhere.
    ///
    /// # Errors
    /// [`AuthorityError::Sign`].
    pub(crate) fn issue_controller(&self, now: UnixSeconds) -> Result<Identity, AuthorityError> {
        self.identity(&client(CONTROLLER, now, CONTROLLER_DAYS)?)
    }

    /// Makes the certificate of a broker on another machine, and its key.
    ///
    /// # Errors
    /// [`AuthorityError::Name`] for what is no host name, [`AuthorityError::Sign`] otherwise.
    pub(crate) fn issue_server(
        &self,
        host_names: &[String],
        now: UnixSeconds,
    ) -> Result<Identity, AuthorityError> {
        self.identity(&found::server(host_names, now)?)
    }

    /// Whether the intermediate has signed a certificate.
    pub(crate) fn has_issued(&self, certificate: &X509Certificate<'_>) -> bool {
        let Ok((_, pem)) = x509_parser::pem::parse_x509_pem(self.intermediate_pem.as_bytes())
        else {
            return false;
        };
        let signed =
            |ca: X509Certificate<'_>| certificate.verify_signature(Some(ca.public_key())).is_ok();
        pem.parse_x509().is_ok_and(signed)
    }

    fn identity(&self, params: &CertificateParams) -> Result<Identity, AuthorityError> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Identity {
            chain_pem: certificate.pem() + &self.intermediate_pem + &self.root_pem,
            key_pem: key.serialize_pem(),
        })
    }

    /// The CA root that anchors broker and controller, PEM.
    pub(crate) fn root_pem(&self) -> &str {
        &self.root_pem
    }

    /// The sha256 of the CA root's certificate in DER, as tokens carry it.
    pub(crate) fn root_digest(&self) -> Digest {
        self.root_digest
    }

    fn new(root_pem: String, intermediate_pem: String, key_pem: &str) -> Result<Self, String> {
        let (_, root) = x509_parser::pem::parse_x509_pem(root_pem.as_bytes())
            .map_err(|error| format!("ca-root.pem is no certificate ({error})"))?;
        let key = KeyPair::from_pem(key_pem).map_err(|error| format!("ca.key: {error}"))?;
        check_pair(&intermediate_pem, &key)?;
        let issuer = Issuer::from_ca_cert_pem(&intermediate_pem, key)
            .map_err(|error| format!("ca.pem: {error}"))?;
        Ok(Self {
            issuer,
            intermediate_pem,
            root_pem,
            root_digest: Digest::of(&root.contents),
        })
    }
}

/// The sha256 in DER of a certificate in PEM, if it is one.
pub(crate) fn certificate_digest(pem: &str) -> Option<Digest> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).ok()?;
    Some(Digest::of(&pem.contents))
}

fn check_pair(certificate_pem: &str, key: &KeyPair) -> Result<(), String> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(certificate_pem.as_bytes())
        .map_err(|error| format!("ca.pem is no certificate ({error})"))?;
    let certificate = pem
        .parse_x509()
        .map_err(|error| format!("ca.pem: {error}"))?;
    if certificate.public_key().subject_public_key.data != key.public_key_raw() {
        return Err("ca.key is not the key of ca.pem".to_owned());
    }
    Ok(())
}

/// A certificate for clients only.
fn client(name: &str, now: UnixSeconds, days: u64) -> Result<CertificateParams, AuthorityError> {
    let mut params = named(name, now, days)?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// The frame of every certificate: common name, a random serial, a span of time.
fn named(name: &str, now: UnixSeconds, days: u64) -> Result<CertificateParams, AuthorityError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(random_serial()?);
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_secs(now.0.saturating_sub(BACKDATE_S));
    params.not_after = epoch + Duration::from_secs(now.plus_days(days).0);
    Ok(params)
}

/// Positive and without leading zeros, so that all who print it print the same.
fn random_serial() -> Result<SerialNumber, AuthorityError> {
    let mut bytes = [0; SERIAL_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| AuthorityError::Sign {
        because: error.to_string(),
    })?;
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

#[cfg(test)]
mod tests;
