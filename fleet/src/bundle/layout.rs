//! A bundle on disk: a folder that is an OCI image layout of one manifest.
//!
//! `docs/bundle-format.md` section 2. Files are read within bounds and checked against their
//! digests; a folder that exists is never written to.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use muster_protocol::bundle::Card;
use muster_protocol::bundle::manifest::{Descriptor, MANIFEST};
use muster_protocol::bundle::media;
use muster_protocol::digest::Digest;
use muster_protocol::limits::WHOLE_BYTES_MAX;
use serde::{Deserialize, Serialize};

use super::pack::Packed;
use super::progress::Progress;

/// The file that says what the folder is.
pub(super) const LAYOUT_FILE: &str = "oci-layout";
/// Its only content.
pub(super) const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
/// The file that names the manifest.
pub(super) const INDEX_FILE: &str = "index.json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Annotation of OCI: what a reference calls the manifest.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// A folder that should hold a bundle.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    folder: PathBuf,
}

/// What is wrong with a file of the folder.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LayoutError {
    #[error("{} cannot be read: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} has more than {bytes_max} bytes", path.display())]
    TooLarge { path: PathBuf, bytes_max: u64 },
    #[error("{} is no index of one bundle: {because}", path.display())]
    Index { path: PathBuf, because: String },
    #[error("{} has {found} bytes, {expected} are named", path.display())]
    Size {
        path: PathBuf,
        expected: u64,
        found: u64,
    },
    #[error("the bytes of {} do not have its digest", .0.display())]
    Digest(PathBuf),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct IndexJson {
    schema_version: u32,
    media_type: String,
    manifests: Vec<EntryJson>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct EntryJson {
    media_type: String,
    #[serde(default)]
    artifact_type: Option<String>,
    digest: String,
    size: u64,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

impl Layout {
    /// The layout in a folder; nothing is read yet.
    pub(crate) fn at(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// A file of the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Where the blob of a digest is.
    pub(crate) fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.folder
            .join("blobs/sha256")
            .join(digest.hex().to_string())
    }

    /// A small file as a whole.
    pub(crate) fn read(&self, name: &str) -> Result<Vec<u8>, LayoutError> {
        let path = self.path(name);
        let bytes = read_bounded(&path, WHOLE_BYTES_MAX.into())?;
        let bytes_max = WHOLE_BYTES_MAX.into();
        if bytes.len() as u64 > bytes_max {
            return Err(LayoutError::TooLarge { path, bytes_max });
        }
        Ok(bytes)
    }

    /// What the index names as manifest.
    pub(crate) fn manifest(&self) -> Result<Descriptor, LayoutError> {
        let index = |because| LayoutError::Index {
            path: self.path(INDEX_FILE),
            because,
        };
        let bytes = self.read(INDEX_FILE)?;
        let json: IndexJson =
            serde_json::from_slice(&bytes).map_err(|error| index(error.to_string()))?;
        let [entry] = json.manifests.as_slice() else {
            return Err(index(format!(
                "it names {} manifests",
                json.manifests.len()
            )));
        };
        let digest = Digest::parse(&entry.digest).map_err(|error| index(error.to_string()))?;
        let small = (1..=u64::from(WHOLE_BYTES_MAX)).contains(&entry.size);
        if entry.media_type != MANIFEST || !small {
            return Err(index(
                "its manifest has another media type, or a size of no sense".into(),
            ));
        }
        Ok(Descriptor {
            digest,
            size: entry.size,
        })
    }

    /// A blob whose size and digest are checked.
    pub(crate) fn blob(&self, expect: &Descriptor) -> Result<Vec<u8>, LayoutError> {
        let path = self.blob_path(&expect.digest);
        let bytes = read_bounded(&path, expect.size)?;
        if bytes.len() as u64 != expect.size {
            let found = fs::metadata(&path).map_or(bytes.len() as u64, |meta| meta.len());
            return Err(LayoutError::Size {
                path,
                expected: expect.size,
                found,
            });
        }
        match Digest::of(&bytes) == expect.digest {
            true => Ok(bytes),
            false => Err(LayoutError::Digest(path)),
        }
    }

    /// Names of all files below the folder, with `/`, sorted.
    pub(crate) fn files(&self) -> Result<Vec<String>, LayoutError> {
        let mut names = Vec::new();
        for below in ["", "blobs", "blobs/sha256"] {
            let path = self.path(below);
            let failed = |source| LayoutError::Read {
                path: path.clone(),
                source,
            };
            for entry in fs::read_dir(&path).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                let name = entry.file_name().to_string_lossy().into_owned();
                names.push(format!("{below}/{name}").trim_start_matches('/').to_owned());
            }
        }
        names.retain(|name| name != "blobs" && name != "blobs/sha256");
        names.sort_unstable();
        Ok(names)
    }

    /// Writes a bundle into the folder, which is there and empty, durably.
    pub(crate) fn write(&self, packed: &Packed, card: &Card) -> io::Result<()> {
        let blobs = self.path("blobs/sha256");
        fs::create_dir_all(&blobs)?;
        let total = packed.blobs.iter().map(|blob| blob.len() as u64).sum();
        let progress = Progress::start("writing", total);
        for blob in &packed.blobs {
            write_file(&self.blob_path(&Digest::of(blob)), blob)?;
            progress.advance(blob.len() as u64);
        }
        let manifest = Descriptor::of(&packed.manifest_bytes);
        write_file(&self.path(INDEX_FILE), &index(&manifest, card))?;
        write_file(&self.path(LAYOUT_FILE), LAYOUT)?;
        for folder in [&blobs, &self.path("blobs"), &self.folder] {
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }
}

/// The index of one manifest; the same manifest gives the same bytes.
pub(super) fn index(manifest: &Descriptor, card: &Card) -> Vec<u8> {
    let entry = EntryJson {
        media_type: MANIFEST.into(),
        artifact_type: Some(media::BUNDLE.into()),
        digest: manifest.digest.to_string(),
        size: manifest.size,
        annotations: BTreeMap::from([(REF_NAME.into(), card.version.to_string())]),
    };
    let json = IndexJson {
        schema_version: 2,
        media_type: INDEX.into(),
        manifests: vec![entry],
    };
    serde_json::to_vec(&json).expect("invariant: text, integers and maps with text keys are JSON")
}

/// At most one byte more than `bytes_max`, by which a caller knows that there is more.
fn read_bounded(path: &Path, bytes_max: u64) -> Result<Vec<u8>, LayoutError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|f| f.take(bytes_max + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) => Ok(bytes),
        Err(source) => Err(LayoutError::Read {
            path: path.into(),
            source,
        }),
    }
}

fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
