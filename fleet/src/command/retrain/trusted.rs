//! Whose signature a request must have: the keys of the director, from what a person trusts.
//!
//! Asks nobody: reads a home or a file.

use std::path::Path;

use muster_protocol::key::PublicKey;
use muster_protocol::tuf::fleet_document::Director;
use serde::Deserialize;

use crate::error::{Exit, OperatorError};
use crate::home::{self, Home};
use crate::key_file;

/// What of a `fleet.json` counts here: the same in the file and in what `muster fleet show` prints.
#[derive(Deserialize)]
struct Named {
    director: Director,
}

/// The keys of a controller's home, or those that a file names.
///
/// # Errors
/// It is neither, or cannot be read.
pub(super) fn keys(path: &Path) -> Result<Vec<PublicKey>, OperatorError> {
    if path.is_dir() {
        let key = key_file::read(&Home::open(path)?.director_key())?;
        return Ok(vec![key.verifying_key().into()]);
    }
    let text = home::read_text(path)?;
    named(text.as_bytes()).map_err(|because| {
        let what = format!("trust {}", path.display());
        let hint = "name the home of the controller, or what `muster fleet show --output json > \
                    fleet.json` writes there";
        OperatorError::new(Exit::BadInput, what, because, hint)
    })
}

/// The keys that a `fleet.json` names.
///
/// # Errors
/// It names none.
pub(super) fn named(document: &[u8]) -> Result<Vec<PublicKey>, String> {
    let named: Result<Named, _> = serde_json::from_slice(document);
    let named = named.map_err(|error| format!("it is no fleet.json: {error}"))?;
    let keys = named.director.keys.iter().map(|key| PublicKey(key.0));
    let keys: Vec<_> = keys.collect();
    match keys.is_empty() {
        true => Err("it names no key of a director".to_owned()),
        false => Ok(keys),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Result<usize, &str>) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("fleet.json");
        std::fs::write(&path, text).expect("written");
        match (keys(&path), expect) {
            (Ok(keys), Ok(count)) => assert_eq!(keys.len(), count, "{text}"),
            (Err(error), Err(part)) => {
                let (exit, error) = (error.exit, error.to_string());
                assert_eq!(exit, Exit::BadInput, "{error}");
                assert!(error.contains(part), "{error}");
                assert!(error.contains("muster fleet show"), "{error}");
            }
            (found, expect) => panic!("{found:?} instead of {expect:?}"),
        }
    }

    #[test]
    fn a_file_names_keys_also_as_it_is_shown_to_people() {
        let key = "07".repeat(32);
        let director = format!(r#""director": {{ "keys": ["{key}"], "threshold": 1 }}"#);
        check(&format!("{{ {director} }}"), Ok(1));
        // As `muster fleet show --output json` has it.
        let shown = format!(r#"{{ "version": 1, "ca_certificates": [{{ "a": 1 }}], {director} }}"#);
        check(&shown, Ok(1));
        check(r#"{"director":{"keys":[],"threshold":1}}"#, Err("no key"));
        check(r#"{"keys":[]}"#, Err("it is no fleet.json: missing field"));
        check("", Err("it is no fleet.json"));
        check(
            r#"{"director":{"keys":["07"],"threshold":1}}"#,
            Err("it is no"),
        );
    }

    #[test]
    fn a_home_has_the_key_itself_and_another_folder_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = keys(folder.path()).expect_err("no home").to_string();
        assert!(error.contains("it holds no muster.toml"), "{error}");
        let home = Home::create(folder.path()).expect("made");
        std::fs::write(home.config_file(), "").expect("written");
        let key = key_file::generate().expect("a key");
        key_file::write_new(&home.director_key(), &key).expect("written");
        let found = keys(folder.path()).expect("a home");
        assert_eq!(found, [PublicKey::from(key.verifying_key())]);
    }
}
