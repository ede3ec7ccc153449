//! `/api/v1/metadata/{role}` and `/api/v1/publications`: signed metadata, out and in.
//!
//! Bytes travel as they were signed. What is published is verified by the controller.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::{Answer, ApiError};
use super::parse::{self, Filter, JsonBody};
use crate::controller::Controller;
use crate::publish::Publication;

/// A publication in JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PublicationBody {
    /// A new root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) root: Option<Octets>,
    /// New top-level targets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) targets: Option<Octets>,
    /// New delegated targets.
    #[serde(default)]
    pub(crate) delegated: Vec<Delegated>,
    /// Files that targets list: `fleet.json` and signed statements.
    #[serde(default)]
    pub(crate) target_files: Vec<TargetFile>,
}

/// Bytes as hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Octets(#[serde(with = "super::parse::hex")] pub(crate) Vec<u8>);

/// A document of a delegated role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Delegated {
    /// The role.
    pub(crate) role: String,
    /// Its document.
    pub(crate) document: Octets,
}

/// A file that targets list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TargetFile {
    /// The path under which it is listed.
    pub(crate) name: String,
    /// Its bytes.
    pub(crate) hex: Octets,
}

impl From<PublicationBody> for Publication {
    fn from(body: PublicationBody) -> Self {
        let delegated = body
            .delegated
            .into_iter()
            .map(|one| (one.role, one.document.0));
        let target_files = body
            .target_files
            .into_iter()
            .map(|file| (file.name, file.hex.0));
        Self {
            root: body.root.map(|octets| octets.0),
            targets: body.targets.map(|octets| octets.0),
            delegated: delegated.collect(),
            target_files: target_files.collect(),
        }
    }
}

impl From<&Publication> for PublicationBody {
    fn from(publication: &Publication) -> Self {
        let delegated = publication
            .delegated
            .iter()
            .map(|(role, document)| Delegated {
                role: role.clone(),
                document: Octets(document.clone()),
            });
        let target_files = publication
            .target_files
            .iter()
            .map(|(name, bytes)| TargetFile {
                name: name.clone(),
                hex: Octets(bytes.clone()),
            });
        Self {
            root: publication.root.clone().map(Octets),
            targets: publication.targets.clone().map(Octets),
            delegated: delegated.collect(),
            target_files: target_files.collect(),
        }
    }
}

/// One metadata document, the newest unless `version` names another.
pub(super) async fn get(
    State(controller): State<Arc<Controller>>,
    Path(role): Path<String>,
    filter: Filter,
) -> Answer<Vec<u8>> {
    filter.page(&["version"])?;
    let version = filter.get("version")?;
    let missing = || ApiError::NotFound {
        what: format!("metadata of {role}"),
    };
    controller
        .metadata(&role, version)
        .await?
        .ok_or_else(missing)
}

/// Publishes all of it or nothing.
pub(super) async fn publish(
    State(controller): State<Arc<Controller>>,
    JsonBody(body): JsonBody<PublicationBody>,
) -> Answer<Json<Value>> {
    let published = controller.publish(body.into()).await?;
    parse::json(&published)
}
