//! A CA with certificates for tests.
//!
//! Every certificate is made anew; nothing here is a secret of anybody.

use super::{Anchors, Credentials};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData,
};

/// A CA.
pub(crate) struct Ca {
    pub(crate) certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key.
pub(crate) struct Issued {
    pub(crate) certificate: Certificate,
    pub(crate) key: KeyPair,
}

impl Ca {
    /// A CA with a new key.
    pub(crate) fn new() -> Self {
        let mut params = named("test CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        Self {
            certificate: params.self_signed(&key).expect("a certificate"),
            issuer: Issuer::new(params, key),
        }
    }

    /// To trust this CA alone.
    pub(crate) fn anchors(&self) -> Anchors {
        Anchors::from_pem(&[self.certificate.pem()]).expect("usable")
    }

    /// A server on this machine whose certificate is valid in these years (first of January).
    pub(crate) fn server(&self, years: (i32, i32)) -> Issued {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).expect("names");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
        self.issue(&params)
    }

    /// A device.
    pub(crate) fn device(&self, name: &str) -> Issued {
        let key = KeyPair::generate().expect("a key");
        let certificate = self.certify(name, &key);
        Issued { certificate, key }
    }

    /// A certificate for a device's key.
    pub(crate) fn certify(&self, name: &str, key: &impl PublicKeyData) -> Certificate {
        let mut params = named(name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.signed_by(key, &self.issuer).expect("a certificate")
    }

    fn issue(&self, params: &CertificateParams) -> Issued {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Issued { certificate, key }
    }
}

impl Issued {
    /// As a device shows it.
    pub(crate) fn credentials(&self) -> Credentials {
        let (chain, key) = (self.certificate.pem(), self.key.serialize_pem());
        Credentials::from_pem(&chain, &key).expect("credentials")
    }
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
