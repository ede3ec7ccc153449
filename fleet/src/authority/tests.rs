//! What is in the certificates that the authority makes.

use rcgen::{
    CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519,
};
use x509_parser::pem::Pem;

use super::*;

/// Life of a device certificate.
const DAYS: NonZeroU16 = NonZeroU16::new(825).expect("not zero");

const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

fn founded() -> Founded {
    found(&["fleet.example".to_owned(), "10.0.0.7".to_owned()], NOW).expect("founded")
}

fn authority(founded: &Founded) -> Authority {
    Authority::new(
        founded.root_pem.clone(),
        founded.intermediate_pem.clone(),
        &founded.intermediate_key_pem,
    )
    .expect("an authority")
}

fn request(key: &KeyPair) -> Vec<u8> {
    let params = CertificateParams::new(["admin.example".to_owned()]).expect("a name");
    params
        .serialize_request(key)
        .expect("a request")
        .der()
        .to_vec()
}

fn new_key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key")
}

fn pems(text: &str) -> Vec<Pem> {
    Pem::iter_from_buffer(text.as_bytes())
        .map(|pem| pem.expect("PEM"))
        .collect()
}

#[test]
fn a_device_certificate_names_the_device_and_is_for_clients_only() {
    let authority = authority(&founded());
    let device = DeviceId::parse("press-07").expect("valid");
    let key = TlsKey::of_request(&request(&new_key())).expect("a P-256 key");
    let issued = authority
        .issue_device(&device, &key, NOW, DAYS)
        .expect("issued");
    let chain = pems(&issued.chain_pem);
    assert_eq!(chain.len(), 2, "the certificate and the intermediate");
    let (leaf, ca) = (
        chain[0].parse_x509().expect("leaf"),
        chain[1].parse_x509().expect("CA"),
    );
    leaf.verify_signature(Some(ca.public_key()))
        .expect("signed by the intermediate");
    let names: Vec<_> = leaf
        .subject()
        .iter_common_name()
        .map(|cn| cn.as_str())
        .collect();
    assert_eq!(names, [Ok("press-07")], "the name comes from the authority");
    assert_eq!(leaf.subject_alternative_name().expect("readable"), None);
    assert!(!leaf.is_ca());
    let usage = leaf
        .extended_key_usage()
        .expect("readable")
        .expect("present")
        .value;
    assert!(usage.client_auth && !usage.server_auth && !usage.any);
    assert_eq!(leaf.raw_serial_as_string().replace(':', ""), issued.serial);
    assert_eq!(
        leaf.validity().not_after.timestamp() as u64,
        issued.expires.0
    );
    assert!((leaf.validity().not_before.timestamp() as u64) < NOW.0);
    assert_eq!(leaf.public_key().subject_public_key.data, key.bytes());
    let curve = leaf
        .public_key()
        .algorithm
        .parameters
        .as_ref()
        .expect("a curve");
    assert_eq!(curve.as_oid(), Ok(x509_parser::oid_registry::OID_EC_P256));
}

#[test]
fn serial_numbers_differ() {
    let authority = authority(&founded());
    let device = DeviceId::parse("a").expect("valid");
    let key = TlsKey::of_request(&request(&new_key())).expect("a P-256 key");
    let serial = || {
        authority
            .issue_device(&device, &key, NOW, DAYS)
            .expect("issued")
            .serial
    };
    assert_ne!(serial(), serial());
}

#[test]
fn the_server_certificate_carries_its_names_and_is_for_servers_only() {
    let founded = founded();
    let chain = pems(&founded.server_chain_pem);
    assert_eq!(chain.len(), 3, "server, intermediate, root");
    let parsed: Vec<_> = chain
        .iter()
        .map(|pem| pem.parse_x509().expect("X.509"))
        .collect();
    for pair in parsed.windows(2) {
        pair[0]
            .verify_signature(Some(pair[1].public_key()))
            .expect("a chain");
    }
    let usage = parsed[0]
        .extended_key_usage()
        .expect("readable")
        .expect("present")
        .value;
    assert!(usage.server_auth && !usage.client_auth && !usage.any);
    let names = parsed[0]
        .subject_alternative_name()
        .expect("readable")
        .expect("present");
    let names: Vec<_> = names
        .value
        .general_names
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(names.len(), 4, "{names:?}");
    for wanted in ["fleet.example", "localhost"] {
        assert!(names.iter().any(|name| name.contains(wanted)), "{names:?}");
    }
    assert!(parsed[1].is_ca() && parsed[2].is_ca());
    assert_eq!(
        authority(&founded).root_digest(),
        Digest::of(&chain[2].contents)
    );
}

#[test]
fn only_a_p256_key_whose_holder_signed_gets_a_certificate() {
    let good = request(&new_key());
    let mut forged = good.clone();
    *forged.last_mut().expect("bytes") ^= 1;
    let mut longer = good.clone();
    longer.push(0);
    let of = |alg| request(&KeyPair::generate_for(alg).expect("a key"));
    for (der, expect) in [
        (&good, None),
        (&forged, Some(BadRequest::NotSigned)),
        (&longer, Some(BadRequest::Malformed)),
        (&good[..40].to_vec(), Some(BadRequest::Malformed)),
        (&of(&PKCS_ECDSA_P384_SHA384), Some(BadRequest::KeyKind)),
        (&of(&PKCS_ED25519), Some(BadRequest::KeyKind)),
    ] {
        assert_eq!(TlsKey::of_request(der).err(), expect);
    }
}

#[test]
fn a_key_of_another_authority_is_noticed() {
    let (one, other) = (founded(), founded());
    let mixed = Authority::new(
        one.root_pem,
        one.intermediate_pem,
        &other.intermediate_key_pem,
    );
    let because = mixed.err().expect("they do not belong together");
    assert!(
        because.contains("ca.key is not the key of ca.pem"),
        "{because}"
    );
}
