//! `/api/v1/devices/{device}/parcel` and `…/carried`: what a stick takes to a device, and what it
//! brings back.
//!
//! Bytes travel as they were signed; what comes back is verified by the controller.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use muster_protocol::id::DeviceId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::Answer;
use super::metadata::Octets;
use super::parse::{self, JsonBody};
use crate::controller::{Controller, Parcel};
use crate::ingest::Carried;

/// What a device has put on a stick.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CarriedBody {
    /// Its hello.
    pub(crate) hello: Option<Octets>,
    /// Its documents, in their order.
    #[serde(default)]
    pub(crate) documents: Vec<Octets>,
}

/// What a stick takes to a device.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ParcelBody {
    /// Metadata of the fleet.
    pub(crate) metadata: Vec<RoleBody>,
    /// The newest assignment.
    pub(crate) assignment: Option<Octets>,
    /// Digests of what it reaches.
    pub(crate) blobs: Vec<String>,
    /// Acknowledgements.
    pub(crate) acks: Vec<AckBody>,
    /// Signed time.
    pub(crate) time: Option<Octets>,
    /// Why there is none, although there was a hello.
    pub(crate) time_refused: Option<String>,
}

/// The document of a role.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RoleBody {
    /// The role, or `fleet.json`.
    pub(crate) role: String,
    /// Its version.
    pub(crate) version: u64,
    /// Its bytes.
    pub(crate) document: Octets,
}

/// The acknowledgement of a stream.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct AckBody {
    /// The stream, in hexadecimal digits.
    pub(crate) stream: String,
    /// Its bytes.
    pub(crate) ack: Octets,
}

/// What a stick takes to a device.
pub(super) async fn parcel(
    State(controller): State<Arc<Controller>>,
    Path(device): Path<String>,
    JsonBody(body): JsonBody<CarriedBody>,
) -> Answer<Json<Value>> {
    let device: DeviceId = parse::value("device", &device)?;
    let hello = body.hello.map(|octets| octets.0);
    let parcel = controller.parcel(&device, hello).await?;
    parse::json(&ParcelBody::from(parcel))
}

/// What a stick brings back.
pub(super) async fn carried(
    State(controller): State<Arc<Controller>>,
    Path(device): Path<String>,
    JsonBody(body): JsonBody<CarriedBody>,
) -> Answer<Json<Value>> {
    let device: DeviceId = parse::value("device", &device)?;
    let carried = Carried {
        hello: body.hello.map(|octets| octets.0),
        documents: body.documents.into_iter().map(|octets| octets.0).collect(),
    };
    parse::json(&controller.take_in(&device, carried).await?)
}

impl From<Parcel> for ParcelBody {
    fn from(parcel: Parcel) -> Self {
        let metadata = parcel.metadata.into_iter();
        let acks = parcel.acks.into_iter();
        let (time, time_refused) = match parcel.time {
            None => (None, None),
            Some(Ok(time)) => (Some(Octets(time)), None),
            Some(Err(why)) => (None, Some(why)),
        };
        Self {
            metadata: metadata
                .map(|(role, version, document)| RoleBody {
                    role,
                    version,
                    document: Octets(document),
                })
                .collect(),
            assignment: parcel.assignment.map(Octets),
            blobs: parcel.blobs.iter().map(ToString::to_string).collect(),
            acks: acks
                .map(|(stream, ack)| AckBody {
                    stream,
                    ack: Octets(ack),
                })
                .collect(),
            time,
            time_refused,
        }
    }
}
