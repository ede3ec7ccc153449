//! From a request's body, query and path to values, with our own sentences when it fails.
//!
//! Bodies are bounded by the router before they come here.

use std::collections::BTreeMap;
use std::str::FromStr;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Body as _;
use muster_protocol::digest::{Digest, Hex, decode_hex};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::{Answer, ApiError};
use crate::store::Page;

/// The body, read as JSON whatever its media type says.
pub(super) struct JsonBody<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Answer<Self> {
        let Octets(bytes) = Octets::from_request(request, state).await?;
        let value =
            serde_json::from_slice(&bytes).map_err(|error| bad(format!("JSON: {error}")))?;
        Ok(Self(value))
    }
}

/// The body as it is.
pub(super) struct Octets(pub(super) Bytes);

/// Bytes that a body may have, set by the router; without it, none.
#[derive(Debug, Clone, Copy)]
pub(super) struct BodyBytesMax(pub(super) usize);

impl<S: Send + Sync> FromRequest<S> for Octets {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Answer<Self> {
        let bytes_max = request
            .extensions()
            .get::<BodyBytesMax>()
            .map_or(0, |max| max.0);
        let body = request.into_body();
        // What is announced as too large need not be waited for.
        if body.size_hint().lower() > bytes_max as u64 {
            return Err(ApiError::TooLarge);
        }
        let bytes = Limited::new(body, bytes_max).collect().await;
        let bytes = bytes.map_err(|error| {
            if error.is::<LengthLimitError>() {
                ApiError::TooLarge
            } else {
                bad("the body ended early")
            }
        })?;
        Ok(Self(bytes.to_bytes()))
    }
}

/// The query: what a list is filtered by, and its page.
pub(super) struct Filter(BTreeMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for Filter {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        let query = Query::from_request_parts(parts, state).await;
        query
            .map(|Query(query)| Self(query))
            .map_err(|error| bad(error.body_text()))
    }
}

impl Filter {
    /// One value, read as its type.
    pub(super) fn get<T: FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Answer<Option<T>> {
        let value = self.0.get(name).map(|text| value(name, text));
        value.transpose()
    }

    /// The page, when no filter but `names` is given.
    pub(super) fn page(&self, names: &[&str]) -> Answer<Page> {
        let known = |name: &&String| !names.contains(&name.as_str());
        let mut other = self.0.keys().filter(known);
        match other.find(|name| !["cursor", "limit"].contains(&name.as_str())) {
            Some(name) => Err(bad(format!("there is no filter {name:?}"))),
            None => Ok(Page {
                cursor: self.get("cursor")?,
                limit: self.get("limit")?,
            }),
        }
    }
}

/// A value of a path or query, read as its type.
pub(super) fn value<T: FromStr<Err: std::fmt::Display>>(name: &str, text: &str) -> Answer<T> {
    text.parse()
        .map_err(|error| bad(format!("{name}: {error}")))
}

/// A value of a query that is one of some words, as bodies have them.
pub(super) fn named<T: DeserializeOwned>(name: &str, text: &str) -> Answer<T> {
    serde_json::from_value(Value::from(text)).map_err(|error| bad(format!("{name}: {error}")))
}

/// An answer in JSON.
pub(super) fn json<T: Serialize>(value: &T) -> Answer<Json<Value>> {
    serde_json::to_value(value).map(Json).map_err(|error| {
        tracing::error!("failed to write an answer: because {error}");
        ApiError::Internal
    })
}

/// A digest of a path.
pub(super) fn digest(text: &str) -> Answer<Digest> {
    Digest::parse(text).map_err(|error| bad(format!("digest: {error}")))
}

/// A request that cannot be understood.
pub(super) fn bad(why: impl Into<String>) -> ApiError {
    ApiError::BadRequest { why: why.into() }
}

/// Bytes in JSON: lower-case hexadecimal digits.
pub(crate) mod hex {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::{Hex, decode_hex};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], writer: S) -> Result<S::Ok, S::Error> {
        writer.collect_str(&Hex(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(reader: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(reader)?;
        let mut bytes = vec![0; text.len() / 2];
        decode_hex(&text, &mut bytes)
            .map_err(|_| D::Error::custom("expected lower-case hexadecimal digits"))?;
        Ok(bytes)
    }
}
