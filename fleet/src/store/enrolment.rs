//! Tokens, and the log of the certificates that were issued for them. Never a secret: only its
//! digest.

use muster_protocol::digest::Digest;
use muster_protocol::id::DeviceId;
use muster_protocol::key::PublicKey;
use muster_protocol::time::UnixSeconds;
use rusqlite::{OptionalExtension, Row, params};
use serde::Serialize;

use super::column::{self, bits};
use super::{Page, Paged, StoreError, Tx};

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TokenRow {
    /// sha256 of its secret.
    pub(crate) secret: Digest,
    /// The device that it enrols.
    pub(crate) device: DeviceId,
    /// Until when.
    pub(crate) expires: UnixSeconds,
    /// What its first use brought and got.
    pub(crate) used: Option<IssuedCertificate>,
}

/// A certificate in the enrolment log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IssuedCertificate {
    /// Lower-case hexadecimal, as the broker names it.
    pub(crate) serial: String,
    /// Digest of the public key of the certificate.
    pub(crate) tls_key: Digest,
    /// The document key that signed the request.
    pub(crate) document_key: PublicKey,
    /// When it was issued.
    pub(crate) issued_at: UnixSeconds,
    /// When it ends.
    pub(crate) expires: UnixSeconds,
    /// Certificate and intermediate, PEM.
    pub(crate) chain: String,
}

/// An enrolment as it is exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct EnrolmentRow {
    /// Its place in the enrolment log; later ones are higher.
    pub(crate) issue: i64,
    /// Who.
    pub(crate) device: String,
    /// The key that signs its documents, 64 hexadecimal digits.
    pub(crate) document_key: String,
    /// Digest of the public key of its certificate.
    pub(crate) tls_key: String,
    /// Serial of that certificate, hexadecimal.
    pub(crate) serial: String,
    /// When, unix seconds.
    pub(crate) enrolled_at: u64,
}

/// The certificate with which a device may connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewestSerial {
    /// Its place in the enrolment log.
    pub(crate) issue: i64,
    /// Lower-case hexadecimal, as the broker names it.
    pub(crate) serial: String,
}

impl Tx<'_> {
    /// Adds a token that nobody used.
    pub(crate) fn add_token(
        &self,
        secret: Digest,
        device: &DeviceId,
        expires: UnixSeconds,
        now: UnixSeconds,
    ) -> Result<(), StoreError> {
        self.0.execute(
            "INSERT INTO tokens (secret, device, created_at, expires) VALUES (?, ?, ?, ?)",
            params![secret.0, device.as_str(), bits(now.0), bits(expires.0)],
        )?;
        Ok(())
    }

    /// The token with this digest of its secret.
    pub(crate) fn token(&self, secret: Digest) -> Result<Option<TokenRow>, StoreError> {
        let sql = "SELECT t.device, t.expires, t.serial, c.tls_key, c.document_key, c.issued_at,
                   c.expires, c.chain FROM tokens t LEFT JOIN certificates c USING (serial)
                   WHERE t.secret = ?";
        let row = |row: &Row<'_>| {
            let serial: Option<String> = row.get(2)?;
            let used = serial
                .map(|serial| read_certificate(row, serial))
                .transpose()?;
            let (device, expires) = (column::id(row, 0)?, UnixSeconds(column::number(row, 1)?));
            Ok(TokenRow {
                secret,
                device,
                expires,
                used,
            })
        };
        Ok(self.0.query_row(sql, [secret.0], row).optional()?)
    }

    /// Records the first use of a token: the device exists from now on, with this document key
    /// and this certificate.
    pub(crate) fn enrol(
        &self,
        token: &TokenRow,
        issued: &IssuedCertificate,
    ) -> Result<NewestSerial, StoreError> {
        self.add_device(&token.device, issued.issued_at)?;
        self.set_document_key(&token.device, issued.document_key, issued.issued_at)?;
        let newest = self.add_certificate(&token.device, issued)?;
        self.0.execute(
            "UPDATE tokens SET document_key = ?2, tls_key = ?3, serial = ?4 WHERE secret = ?1",
            params![
                token.secret.0,
                issued.document_key.0,
                issued.tls_key.0,
                issued.serial
            ],
        )?;
        Ok(newest)
    }

    /// Records a certificate in the enrolment log.
    pub(crate) fn add_certificate(
        &self,
        device: &DeviceId,
        issued: &IssuedCertificate,
    ) -> Result<NewestSerial, StoreError> {
        self.0.execute(
            "INSERT INTO certificates
             (serial, device, tls_key, document_key, issued_at, expires, chain)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
            params![
                issued.serial,
                device.as_str(),
                issued.tls_key.0,
                issued.document_key.0,
                bits(issued.issued_at.0),
                bits(issued.expires.0),
                issued.chain,
            ],
        )?;
        Ok(NewestSerial {
            issue: self.0.last_insert_rowid(),
            serial: issued.serial.clone(),
        })
    }

    /// The certificate of a device that was issued last.
    pub(crate) fn newest_certificate(
        &self,
        device: &DeviceId,
    ) -> Result<Option<IssuedCertificate>, StoreError> {
        let sql = "SELECT serial, NULL, NULL, tls_key, document_key, issued_at, expires, chain
                   FROM certificates WHERE device = ? ORDER BY issue DESC LIMIT 1";
        let row = |row: &Row<'_>| {
            let serial = row.get(0)?;
            read_certificate(row, serial)
        };
        Ok(self.0.query_row(sql, [device.as_str()], row).optional()?)
    }

    /// The enrolment log, in its order.
    pub(crate) fn enrolments(&self, page: &Page) -> Result<Paged<EnrolmentRow>, StoreError> {
        let sql = "SELECT issue, device, document_key, tls_key, serial, issued_at
                   FROM certificates WHERE issue > ?1 ORDER BY issue LIMIT ?2";
        self.list(sql, &[], page, read_enrolment, |row| row.issue)
    }

    /// For each device the serial of the certificate that was issued last: older ones may not
    /// connect, nor may those of a device that was revoked.
    pub(crate) fn newest_serials(&self) -> Result<Vec<(DeviceId, NewestSerial)>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT device, serial, MAX(issue) FROM certificates c WHERE EXISTS
             (SELECT 1 FROM device_keys k WHERE k.device = c.device AND k.retired_at IS NULL)
             GROUP BY device",
        )?;
        let rows = statement.query_map([], |row| {
            let (serial, issue) = (row.get(1)?, row.get(2)?);
            Ok((column::id(row, 0)?, NewestSerial { issue, serial }))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Certificates that were replaced or revoked and have not ended by `now`, with the time at
    /// which the next one of their device was issued, or its keys ceased to count.
    pub(crate) fn replaced_serials(
        &self,
        now: UnixSeconds,
    ) -> Result<Vec<(String, UnixSeconds)>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT c.serial, COALESCE(MIN(later.issued_at),
                 (SELECT MAX(retired_at) FROM device_keys k WHERE k.device = c.device))
             FROM certificates c
             LEFT JOIN certificates later ON later.device = c.device AND later.issue > c.issue
             WHERE c.expires > ? AND (later.issue IS NOT NULL OR NOT EXISTS
                 (SELECT 1 FROM device_keys k WHERE k.device = c.device AND k.retired_at IS NULL))
             GROUP BY c.serial ORDER BY c.issue",
        )?;
        let rows = statement.query_map([bits(now.0)], |row| {
            Ok((row.get(0)?, UnixSeconds(column::number(row, 1)?)))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

fn read_enrolment(row: &Row<'_>) -> rusqlite::Result<EnrolmentRow> {
    Ok(EnrolmentRow {
        issue: row.get(0)?,
        device: row.get(1)?,
        document_key: row.get(2).map(PublicKey)?.to_string(),
        tls_key: column::digest(row, 3)?.to_string(),
        serial: row.get(4)?,
        enrolled_at: column::number(row, 5)?,
    })
}

fn read_certificate(row: &Row<'_>, serial: String) -> rusqlite::Result<IssuedCertificate> {
    Ok(IssuedCertificate {
        serial,
        tls_key: column::digest(row, 3)?,
        document_key: row.get(4).map(PublicKey)?,
        issued_at: UnixSeconds(column::number(row, 5)?),
        expires: UnixSeconds(column::number(row, 6)?),
        chain: row.get(7)?,
    })
}
