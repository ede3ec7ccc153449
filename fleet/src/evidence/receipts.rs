//! The file of receipts: one JSON object for each line, whose only field is the signed bytes.
//!
//! Nothing stands beside the signed bytes: what a file merely claims, somebody would believe.

use std::path::Path;

use muster_protocol::digest::decode_hex;
use muster_protocol::limits::DOCUMENT_BYTES_MAX;
use serde::{Deserialize, Serialize};

use super::lines::each_line;
use crate::error::OperatorError;

/// A document in hexadecimal digits, and what is around it.
const LINE_BYTES_MAX: usize = 2 * DOCUMENT_BYTES_MAX + 64;
const HINT: &str = "`muster receipt export` writes such files; a line is {\"receipt\":\"…\"}";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    receipt: String,
}

/// The line of a receipt whose signed bytes are `hex`.
pub(crate) fn line_of(hex: &str) -> String {
    let line = Line {
        receipt: hex.to_owned(),
    };
    serde_json::to_string(&line).expect("invariant: a text is plain JSON") + "\n"
}

/// Reads a file of receipts: `take` gets the number of each line and its signed bytes.
///
/// # Errors
/// The file cannot be read, or a line holds no bytes.
pub(crate) fn each_receipt(
    path: &Path,
    mut take: impl FnMut(usize, &[u8]),
) -> Result<(), OperatorError> {
    each_line(path, LINE_BYTES_MAX, HINT, |number, line| {
        take(number, &bytes_of(line)?);
        Ok(())
    })
}

fn bytes_of(line: &str) -> Result<Vec<u8>, String> {
    let line: Line = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let mut bytes = vec![0; line.receipt.len() / 2];
    decode_hex(&line.receipt, &mut bytes)
        .map_err(|_| "`receipt` is not lower-case hexadecimal digits, two for each byte")?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hostile::mutated;
    use proptest::prelude::*;

    fn check(line: &str, expect: Result<&[u8], &str>) {
        match (bytes_of(line), expect) {
            (Ok(bytes), Ok(expect)) => assert_eq!(bytes, expect, "{line}"),
            (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
            (read, expect) => panic!("{line}: {read:?}, not {expect:?}"),
        }
    }

    #[test]
    fn a_line_is_the_signed_bytes_and_nothing_else() {
        check(&line_of("00ff"), Ok(&[0, 255]));
        check(r#"{"receipt":""}"#, Ok(&[]));
        check(r#"{"receipt":"0"}"#, Err("two for each byte"));
        check(r#"{"receipt":"FF"}"#, Err("lower-case"));
        check(r#"{"receipt":"00","device":"a"}"#, Err("unknown field"));
        check(r#"{"receipt":7}"#, Err("expected a string"));
        check("[]", Err("invalid length 0"));
        check("receipt", Err("expected value"));
    }

    proptest! {
        #[test]
        fn hostile_lines_are_bytes_or_refused(line in mutated(line_of("00ff10").into_bytes())) {
            let _bytes_or_reason = bytes_of(&String::from_utf8_lossy(&line));
        }
    }
}
