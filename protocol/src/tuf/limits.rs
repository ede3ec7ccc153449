//! Bounds on what a metadata document may hold, checked before anything is allocated for it or
//! counted on. They are the W, X, Y and Z of the specification's chapter 5; no check lives here.

/// Bytes of one root document (5.3.3, W).
pub const ROOT_BYTES_MAX: u64 = 512 * 1024;
/// Bytes of a timestamp document (5.4.1, X).
pub const TIMESTAMP_BYTES_MAX: u64 = 16 * 1024;
/// Bytes of a snapshot document (5.5.1, Y).
pub const SNAPSHOT_BYTES_MAX: u64 = 2 * 1024 * 1024;
/// Bytes of a targets document, top-level or delegated (5.6.1, Z).
pub const TARGETS_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Bytes of `fleet.json`.
pub const FLEET_DOCUMENT_BYTES_MAX: u64 = 96 * 1024;

/// Root documents followed in one update cycle (5.3.3, Y).
pub const ROTATIONS_MAX: u32 = 1024;
/// Roles visited in one search for a target (5.6.7.1).
pub const ROLES_VISITED_MAX: usize = 64;

/// Signatures on one document.
pub const SIGNATURES_MAX: usize = 64;
/// Keys listed in one document.
pub const KEYS_MAX: usize = 4096;
/// Key ids named by one role.
pub const KEYS_OF_ROLE_MAX: usize = 64;
/// Delegations of one targets document.
pub const DELEGATIONS_MAX: usize = 1024;
/// Path patterns or hash prefixes of one delegation.
pub const PATHS_MAX: usize = 512;
/// Targets of one document.
pub const TARGETS_MAX: usize = 32 * 1024;
/// Documents listed by one snapshot.
pub const LISTED_MAX: usize = 4096;
/// Bytes of a role name.
pub const ROLE_NAME_BYTES_MAX: usize = 256;
/// Bytes of a target path or path pattern.
pub const PATH_BYTES_MAX: usize = 512;

/// Keys of one purpose in `fleet.json`.
pub const FLEET_KEYS_MAX: usize = 8;
/// CA certificates in `fleet.json`.
pub const FLEET_CERTIFICATES_MAX: usize = 8;
/// Bytes of one CA certificate in PEM.
pub const FLEET_CERTIFICATE_BYTES_MAX: usize = 8 * 1024;
/// Bytes of one endpoint.
pub const FLEET_ENDPOINT_BYTES_MAX: usize = 256;
/// Floors, and also revocations, in `fleet.json`.
pub const FLEET_ENTRIES_MAX: usize = 1024;
