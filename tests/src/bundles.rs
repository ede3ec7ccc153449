//! Bundles for tests, each built once per run: building one starts the model's runtime.

use crate::cli::{self, Said};
use crate::program;
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::{Arc, Mutex, OnceLock};

/// Seconds that [`Recipe::hasty`] gives a model to load, and then for each run.
pub const HASTY_S: u64 = 5;

/// What is built.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// ONNX file.
    pub onnx: PathBuf,
    /// Id of the model.
    pub model: String,
    /// Its version.
    pub version: String,
    /// Further arguments of `muster bundle build`.
    pub arguments: Vec<String>,
}

/// A bundle on disk. Never change it: other tests read it too; take a [`Bundle::copy`].
#[derive(Debug, Clone)]
pub struct Bundle {
    /// Id of the model.
    pub model: String,
    /// Its version.
    pub version: String,
    /// Its folder.
    pub folder: PathBuf,
}

type Built = Mutex<BTreeMap<String, Arc<OnceLock<Bundle>>>>;

static BUILT: Built = Mutex::new(BTreeMap::new());

/// A file of `tests/fixtures/models`.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/models")
        .join(name)
}

/// The fixture `NAME.onnx` with its golden vectors as a version of the model `model`, untried.
pub fn of_fixture(name: &str, model: &str, version: &str) -> Bundle {
    Recipe::new(&fixture(&format!("{name}.onnx")), model, version)
        .golden(&fixture(&format!("{name}.golden.npz")))
        .untried()
        .build()
}

impl Recipe {
    /// A recipe without golden vectors.
    pub fn new(onnx: &Path, model: &str, version: &str) -> Self {
        Self {
            onnx: onnx.to_owned(),
            model: model.to_owned(),
            version: version.to_owned(),
            arguments: Vec::new(),
        }
    }

    /// Adds golden vectors.
    #[must_use]
    pub fn golden(self, path: &Path) -> Self {
        let path = path.to_str().expect("our paths are text").to_owned();
        self.with(&["--golden", &path])
    }

    /// Adds arguments.
    #[must_use]
    pub fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments
            .extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    /// Packs the model as a careless builder would, so that what must not run reaches devices:
    /// without a trial, and with a check that looks at `good.onnx` instead.
    #[must_use]
    pub fn untried(self) -> Self {
        static CARELESS: OnceLock<PathBuf> = OnceLock::new();
        let agent = CARELESS.get_or_init(|| {
            let good = fixture("good.onnx");
            script(
                "careless-agent",
                &format!("check {} --output json", good.display()),
            )
        });
        let agent = agent.to_str().expect("our paths are text").to_owned();
        self.with(&["--no-trial", "--agent", &agent])
    }

    /// Gives the model less time than a builder would, so that a test need not wait.
    #[must_use]
    pub fn hasty(self) -> Self {
        static HASTY: OnceLock<PathBuf> = OnceLock::new();
        let agent =
            HASTY.get_or_init(|| script("hasty-agent", &format!("\"$@\" --timeout-s {HASTY_S}")));
        let agent = agent.to_str().expect("our paths are text").to_owned();
        self.with(&["--agent", &agent])
    }

    /// Runs `muster bundle build` into `out`.
    pub fn build_into(&self, out: &Path) -> Said {
        let mut command = Command::new(program::path("muster"));
        command
            .args(["bundle", "build"])
            .arg(&self.onnx)
            .arg("--out")
            .arg(out);
        command.args(["--model", &self.model, "--version", &self.version]);
        cli::run(command.args(&self.arguments))
    }

    /// The bundle, built now or earlier in this run.
    ///
    /// # Panics
    /// When it cannot be built.
    pub fn build(&self) -> Bundle {
        let key = format!("{self:?}");
        let cell = Arc::clone(BUILT.lock().expect("not poisoned").entry(key).or_default());
        cell.get_or_init(|| self.build_now()).clone()
    }

    fn build_now(&self) -> Bundle {
        let name = tempfile::Builder::new()
            .prefix("bundle-")
            .tempdir_in(folder());
        let folder = name.expect("a folder").keep().join("bundle");
        self.build_into(&folder).ok();
        Bundle {
            model: self.model.clone(),
            version: self.version.clone(),
            folder,
        }
    }
}

/// A program that runs the agent with arguments of our own.
fn script(name: &str, arguments: &str) -> PathBuf {
    let agent = program::path("muster-agent");
    let path = folder().join(name);
    let line = format!("exec {} {arguments}", agent.display());
    fs::write(&path, format!("#!/bin/sh\n{line}\n")).expect("a file");
    fs::set_permissions(&path, Permissions::from_mode(0o700)).expect("our file");
    path
}

impl Bundle {
    /// Its folder as an argument.
    ///
    /// # Panics
    /// When the path is no text.
    pub fn arg(&self) -> &str {
        self.folder.to_str().expect("our paths are text")
    }

    /// Its blobs, largest first.
    ///
    /// # Panics
    /// When the folder cannot be read.
    pub fn blobs(&self) -> Vec<PathBuf> {
        let blobs = fs::read_dir(self.folder.join("blobs/sha256")).expect("an OCI layout");
        let mut blobs: Vec<_> = blobs.map(|entry| entry.expect("an entry").path()).collect();
        let size = |path: &PathBuf| fs::metadata(path).map_or(0, |metadata| metadata.len());
        blobs.sort_by_key(|path| std::cmp::Reverse(size(path)));
        blobs
    }

    /// A copy that a test may damage.
    ///
    /// # Panics
    /// When the disk refuses.
    pub fn copy(&self, to: &Path) -> Self {
        copy_folder(&self.folder, to);
        Self {
            folder: to.to_owned(),
            ..self.clone()
        }
    }
}

/// Copies a folder with everything in it.
///
/// # Panics
/// When the disk refuses.
pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let (from, to) = entry
            .map(|e| (e.path(), to.join(e.file_name())))
            .expect("an entry");
        if from.is_dir() {
            copy_folder(&from, &to);
        } else {
            fs::copy(&from, &to).expect("a file");
        }
    }
}

/// Flips one bit in the middle of a file.
///
/// # Panics
/// When the disk refuses.
pub fn flip(path: &Path) {
    let mut bytes = fs::read(path).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).expect("the disk takes it");
}

/// Where this run builds: one folder a process, and those of ended ones are removed.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let all = std::env::temp_dir().join("muster-test-bundles");
        fs::create_dir_all(&all).expect("a folder");
        for entry in fs::read_dir(&all).expect("a folder").flatten() {
            if !Path::new("/proc").join(entry.file_name()).exists() {
                // Another run may be removing it as well.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        let own = all.join(process::id().to_string());
        fs::create_dir_all(&own).expect("a folder");
        own
    })
}
