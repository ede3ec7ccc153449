//! What a controller knows, by its API.

use super::Fleet;
use crate::http::{self, Answer, Question};
use crate::wait;
use serde_json::Value;
use std::io;
use std::time::Duration;

impl Fleet {
    /// Asks the API, with the operator's token.
    ///
    /// # Errors
    /// It does not answer.
    pub fn api(&self, method: &str, path: &str, body: Option<&str>) -> io::Result<Answer> {
        let question = Question {
            method,
            path: &format!("/api/v1/{path}"),
            token: Some(&self.token()),
            body,
        };
        http::ask(self.api_address(), question)
    }

    /// Items of a list of the API.
    ///
    /// # Errors
    /// It does not answer, or with something else.
    pub fn list(&self, path: &str) -> Result<Vec<Value>, String> {
        let limit = if path.contains('?') {
            "&limit=500"
        } else {
            "?limit=500"
        };
        let answer = self.api("GET", &format!("{path}{limit}"), None);
        let answer = answer.map_err(|error| error.to_string())?;
        let items = answer.body["items"].as_array().cloned();
        items.ok_or_else(|| format!("{path} gives {answer:?}"))
    }

    /// Receipts of a device about one version, in order.
    ///
    /// # Errors
    /// See [`Self::list`].
    pub fn receipts(&self, device: &str, version: &str) -> Result<Vec<Value>, String> {
        let all = self.list(&format!("receipts?device={device}"))?;
        Ok(all
            .into_iter()
            .filter(|receipt| receipt["version"] == version)
            .collect())
    }

    /// Waits for a receipt of this step.
    ///
    /// # Panics
    /// When none comes in time.
    pub fn wait_receipt(
        &self,
        device: &str,
        version: &str,
        step: &str,
        deadline: Duration,
    ) -> Value {
        wait::until(
            format!("{device} to report {version} {step}"),
            deadline,
            || {
                let receipts = self.receipts(device, version)?;
                let found = receipts.iter().rfind(|receipt| receipt["step"] == step);
                found.cloned().ok_or_else(|| shown(&receipts))
            },
        )
    }

    /// How often a device said that counts were lost.
    ///
    /// # Errors
    /// The API does not answer, or with something else.
    pub fn gaps(&self, device: &str) -> Result<u64, String> {
        let answer = self.api("GET", &format!("devices/{device}"), None);
        let body = answer.map_err(|error| error.to_string())?.body;
        body["gaps"].as_u64().ok_or_else(|| body.to_string())
    }

    /// What the fleet has counted of a model on a device: closed windows and predictions.
    ///
    /// # Errors
    /// See [`Self::list`].
    pub fn counted(&self, device: &str, model: &str) -> Result<(u64, u64), String> {
        let summary = self.list("summary")?;
        let device = summary
            .iter()
            .find(|row| row["device"] == device)
            .ok_or("no such device")?;
        let models = device["models"].as_array().ok_or("no models")?;
        let model = models
            .iter()
            .find(|row| row["model"] == model)
            .ok_or("no such model")?;
        let number = |name: &str| model[name].as_u64().ok_or(format!("no {name}"));
        Ok((number("closed_windows")?, number("predictions")?))
    }
}

/// Receipts in one line each.
fn shown(receipts: &[Value]) -> String {
    let line = |r: &Value| {
        format!(
            "{} {} {} {}",
            r["version"], r["step"], r["reason"], r["detail"]
        )
    };
    receipts.iter().map(line).collect::<Vec<_>>().join("; ")
}
