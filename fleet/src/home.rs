//! The controller's home: one folder that holds its configuration, keys, database and blobs.
//!
//! Says where each file is and makes files that only their owner may read. It never looks into
//! a file, and nothing is ever overwritten through it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use muster_protocol::id::ModelId;

use crate::error::{Exit, OperatorError};

/// Largest file that is read from a home as a whole: certificates, keys, configuration.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// The folders of a home, in the order in which they are made.
const FOLDERS: [&str; 4] = ["offline", "release", "controller", "controller/blobs"];

/// A home that exists.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    folder: PathBuf,
}

impl Home {
    /// A home that `muster init` has made.
    ///
    /// # Errors
    /// There is none in `folder`.
    pub(crate) fn open(folder: &Path) -> Result<Self, OperatorError> {
        let home = Self {
            folder: folder.to_owned(),
        };
        if home.config_file().is_file() {
            return Ok(home);
        }
        Err(OperatorError::new(
            Exit::Missing,
            format!("open the home {}", folder.display()),
            "it holds no muster.toml",
            "make one with `muster init`, or name another with --home or MUSTER_HOME",
        ))
    }

    /// Makes the folders of a new home.
    ///
    /// # Errors
    /// `folder` exists and is not empty, or cannot be made.
    pub(crate) fn create(folder: &Path) -> Result<Self, OperatorError> {
        Self::check_vacant(folder)?;
        Self::make_folders(folder)
    }

    /// Whether a home may be made in `folder`.
    ///
    /// # Errors
    /// Something is there already.
    pub(crate) fn check_vacant(folder: &Path) -> Result<(), OperatorError> {
        let failed = |error| OperatorError::file("make the folder", folder, &error);
        if !occupied(folder).map_err(failed)? {
            return Ok(());
        }
        Err(OperatorError::new(
            Exit::Missing,
            format!("make a home in {}", folder.display()),
            "something is there already, and keys are never overwritten",
            "use the home that is there, or name another folder with --home",
        ))
    }

    /// Makes the folders of a home that are not there.
    ///
    /// # Errors
    /// The disk refuses.
    pub(crate) fn make_folders(folder: &Path) -> Result<Self, OperatorError> {
        let failed = |error| OperatorError::file("make the folder", folder, &error);
        make_private_folder(folder).map_err(failed)?;
        let home = Self {
            folder: folder.to_owned(),
        };
        for name in FOLDERS {
            let path = home.folder.join(name);
            make_private_folder(&path)
                .map_err(|error| OperatorError::file("make the folder", &path, &error))?;
        }
        Ok(home)
    }

    /// Keeps other controllers out of this home for as long as the file lives.
    ///
    /// # Errors
    /// One serves it already.
    pub(crate) fn lock(&self) -> Result<File, OperatorError> {
        let path = self.controller("lock");
        let failed = |error: io::Error| OperatorError::file("lock", &path, &error);
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o600);
        let file = options.open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(fs::TryLockError::Error(error)) => Err(failed(error)),
            Err(fs::TryLockError::WouldBlock) => Err(OperatorError::new(
                Exit::Resource,
                format!("serve the home {}", self.folder.display()),
                "another `muster serve` serves it already",
                "stop that one, or name another home with --home",
            )),
        }
    }

    /// The folder itself.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// `muster.toml`.
    pub(crate) fn config_file(&self) -> PathBuf {
        self.folder.join("muster.toml")
    }

    /// The folder of the offline keys.
    pub(crate) fn offline(&self) -> PathBuf {
        self.folder.join("offline")
    }

    /// The offline key of the root role.
    pub(crate) fn root_key(&self) -> PathBuf {
        self.folder.join("offline/root.key")
    }

    /// The offline key of the targets role.
    pub(crate) fn targets_key(&self) -> PathBuf {
        self.folder.join("offline/targets.key")
    }

    /// The offline key of the CA root, PEM.
    pub(crate) fn ca_root_key(&self) -> PathBuf {
        self.folder.join("offline/ca-root.key")
    }

    /// The key that signs releases of one model.
    pub(crate) fn release_key(&self, model: &ModelId) -> PathBuf {
        self.folder.join("release").join(format!("{model}.key"))
    }

    /// The online key of the snapshot role.
    pub(crate) fn snapshot_key(&self) -> PathBuf {
        self.controller("snapshot.key")
    }

    /// The online key of the timestamp role.
    pub(crate) fn timestamp_key(&self) -> PathBuf {
        self.controller("timestamp.key")
    }

    /// The key that signs assignments.
    pub(crate) fn director_key(&self) -> PathBuf {
        self.controller("director.key")
    }

    /// The key that signs acknowledgements.
    pub(crate) fn ack_key(&self) -> PathBuf {
        self.controller("ack.key")
    }

    /// The key that signs time.
    pub(crate) fn time_key(&self) -> PathBuf {
        self.controller("time.key")
    }

    /// The certificate of the CA root, PEM.
    pub(crate) fn ca_root_pem(&self) -> PathBuf {
        self.controller("ca-root.pem")
    }

    /// The certificate of the intermediate CA, PEM.
    pub(crate) fn ca_pem(&self) -> PathBuf {
        self.controller("ca.pem")
    }

    /// The key of the intermediate CA, PEM.
    pub(crate) fn ca_key(&self) -> PathBuf {
        self.controller("ca.key")
    }

    /// The server's certificate, the intermediate and the CA root, PEM.
    pub(crate) fn server_pem(&self) -> PathBuf {
        self.controller("server.pem")
    }

    /// The server's key, PEM.
    pub(crate) fn server_key(&self) -> PathBuf {
        self.controller("server.key")
    }

    /// The anchors of device certificates, PEM.
    pub(crate) fn client_ca_pem(&self) -> PathBuf {
        self.controller("client-ca.pem")
    }

    /// The list of certificates that were replaced, PEM: for external brokers.
    pub(crate) fn revocations_pem(&self) -> PathBuf {
        self.controller("crl.pem")
    }

    /// A folder for the local socket to the external broker of this number.
    pub(crate) fn link(&self, number: usize) -> PathBuf {
        self.controller(&format!("link-{number}"))
    }

    /// The bearer token of the API.
    pub(crate) fn api_token(&self) -> PathBuf {
        self.controller("api-token")
    }

    /// The database.
    pub(crate) fn database(&self) -> PathBuf {
        self.controller("muster.db")
    }

    /// The folder of the blobs.
    pub(crate) fn blobs(&self) -> PathBuf {
        self.controller("blobs")
    }

    /// Where a running `serve` says what it listens on.
    pub(crate) fn addresses(&self) -> PathBuf {
        self.controller("addresses.json")
    }

    /// Keys and certificates that wait for signatures, laid out as a home.
    pub(crate) fn next(&self) -> Self {
        Self {
            folder: self.controller("next"),
        }
    }

    fn controller(&self, name: &str) -> PathBuf {
        self.folder.join("controller").join(name)
    }
}

/// Writes a new file that only its owner may read, durably.
///
/// # Errors
/// It exists, or the disk refuses.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), OperatorError> {
    write_new(path, bytes).map_err(|error| OperatorError::file("write", path, &error))
}

/// Puts a text in the place of whatever a file held, in one step.
///
/// # Errors
/// The disk refuses.
pub(crate) fn replace(path: &Path, text: &str) -> Result<(), OperatorError> {
    let new = path.with_added_extension("new");
    fs::write(&new, text)
        .and_then(|()| File::open(&new)?.sync_all())
        .and_then(|()| fs::rename(&new, path))
        .map_err(|error| OperatorError::file("write", path, &error))
}

/// Puts bytes that only their owner may read in the place of whatever a file held, in one step.
///
/// # Errors
/// The disk refuses.
pub(crate) fn replace_private(path: &Path, bytes: &[u8]) -> Result<(), OperatorError> {
    let new = path.with_added_extension("new");
    let _left_over = fs::remove_file(&new);
    write_new(&new, bytes)
        .and_then(|()| fs::rename(&new, path))
        .map_err(|error| OperatorError::file("write", path, &error))
}

/// Makes a folder that only its owner may look into.
///
/// # Errors
/// The disk refuses.
pub(crate) fn make_private(folder: &Path) -> Result<(), OperatorError> {
    make_private_folder(folder)
        .map_err(|error| OperatorError::file("make the folder", folder, &error))
}

/// Reads a small text file.
///
/// # Errors
/// It cannot be read, is not UTF-8 or is far too large.
pub(crate) fn read_text(path: &Path) -> Result<String, OperatorError> {
    let failed = |error| OperatorError::file("read", path, &error);
    if fs::metadata(path).map_err(failed)?.len() > FILE_BYTES_MAX {
        return Err(failed(io::ErrorKind::FileTooLarge.into()));
    }
    fs::read_to_string(path).map_err(failed)
}

/// Reads a small secret that only its owner may be able to read.
///
/// # Errors
/// As [`read_text`], or others may read it.
pub(crate) fn read_secret(path: &Path) -> Result<String, OperatorError> {
    let meta = fs::metadata(path).map_err(|error| OperatorError::file("read", path, &error))?;
    let mode = meta.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(OperatorError::new(
            Exit::Refused,
            format!("use the secret in {}", path.display()),
            format!("others than its owner may read it (mode {mode:03o})"),
            format!("chmod 600 {}", path.display()),
        ));
    }
    read_text(path)
}

/// Reads the bearer token of the API.
///
/// # Errors
/// There is none, or others may read it.
pub(crate) fn read_api_token(home: &Home) -> Result<String, OperatorError> {
    let path = home.api_token();
    let token = if path.exists() {
        read_secret(&path)?.trim().to_owned()
    } else {
        String::new()
    };
    if token.is_empty() {
        return Err(OperatorError::new(
            Exit::Missing,
            format!("read the API token {}", path.display()),
            "there is none",
            "write a long random text into it with mode 600, and start `muster serve` again",
        ));
    }
    Ok(token)
}

/// Whether something is there that a new home would mix with.
fn occupied(folder: &Path) -> io::Result<bool> {
    match fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn make_private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if written.is_err() {
        // It is ours and holds nothing whole; under its name it would keep the next attempt out.
        let _removed = fs::remove_file(path);
    }
    written?;
    File::open(folder_of(path))?.sync_all()
}

/// The folder that holds a file: of a bare name, the one where we are.
fn folder_of(path: &Path) -> &Path {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_occupied_folder_is_no_place_for_a_new_home() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("home");
        Home::create(&path).expect("nothing is there");
        let error = Home::create(&path).expect_err("a home is there");
        assert_eq!(error.exit, Exit::Missing);
        assert!(error.to_string().contains("never overwritten"), "{error}");
    }

    #[test]
    fn a_folder_without_a_configuration_is_no_home() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = Home::open(folder.path()).expect_err("no home");
        assert!(error.to_string().contains("muster init"), "{error}");
    }

    #[test]
    fn a_home_has_one_controller() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = Home::create(&folder.path().join("home")).expect("a home");
        let first = home.lock().expect("nobody serves it");
        let error = home.lock().expect_err("it is served");
        assert!(error.to_string().contains("serves it already"), "{error}");
        drop(first);
        home.lock().expect("nobody serves it any more");
    }

    #[test]
    fn a_missing_and_a_loose_token_are_told_apart() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = Home::create(&folder.path().join("home")).expect("a home");
        let error = read_api_token(&home).expect_err("none");
        assert!(
            error.to_string().contains("because there is none"),
            "{error}"
        );
        write_private(&home.api_token(), b"t\n").expect("written");
        assert_eq!(read_api_token(&home).expect("private"), "t");
        let loose = fs::Permissions::from_mode(0o644);
        fs::set_permissions(home.api_token(), loose).expect("chmod");
        let error = read_api_token(&home).expect_err("loose");
        assert_eq!(error.exit, Exit::Refused, "{error}");
    }

    #[test]
    fn a_bare_name_lies_where_we_are() {
        for (path, expect) in [("a", "."), ("a/b", "a"), ("/a", "/"), ("./a", ".")] {
            assert_eq!(folder_of(Path::new(path)), Path::new(expect), "{path}");
        }
    }

    #[test]
    fn secrets_are_private_and_loose_ones_are_not_used() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secret");
        write_private(&path, b"s").expect("written");
        assert_eq!(read_secret(&path).expect("private"), "s");
        assert!(write_private(&path, b"t").is_err(), "never overwritten");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("chmod");
        let error = read_secret(&path).expect_err("loose");
        assert!(error.to_string().contains("mode 640"), "{error}");
    }
}
