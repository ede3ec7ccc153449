//! A reader that knows how far it is, and that gives up on a record without end.
//!
//! A quote that is never closed must not read a whole disk into memory.

use std::io::{self, Read};

/// Longest line or record.
pub(super) const RECORD_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A counted reader.
pub(super) struct Metered<R> {
    inner: R,
    bytes: u64,
    allowed: u64,
}

impl<R: Read> Metered<R> {
    pub(super) fn new(inner: R) -> Self {
        Self {
            inner,
            bytes: 0,
            allowed: RECORD_BYTES_MAX,
        }
    }

    /// Bytes read so far.
    pub(super) const fn bytes_read(&self) -> u64 {
        self.bytes
    }

    /// A new record begins.
    pub(super) const fn allow_record(&mut self) {
        self.allowed = RECORD_BYTES_MAX;
    }
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.allowed == 0 {
            let because = format!(
                "a line or record has more than {} MiB (a quote that is never closed?)",
                RECORD_BYTES_MAX >> 20
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, because));
        }
        let read = self.inner.read(buffer)?;
        self.bytes += read as u64;
        self.allowed = self.allowed.saturating_sub(read as u64);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_without_end_is_given_up() {
        let mut endless = Metered::new(io::repeat(b'"'));
        let mut one = [0; 1 << 16];
        let read = std::iter::repeat_with(|| endless.read(&mut one));
        let read = read.take_while(Result::is_ok).count() as u64;
        assert_eq!(read * (1 << 16), RECORD_BYTES_MAX);
        endless.allow_record();
        assert!(endless.read(&mut one).is_ok());
        assert_eq!(endless.bytes_read(), RECORD_BYTES_MAX + (1 << 16));
    }
}
