//! Checkpoints of open windows: what a power cut leaves of them.
//!
//! A checkpoint is a body of its boot, and never continued: it is removed once its window is
//! durable, and the next start closes one that lies here still.

use super::Outbox;
use super::bodies::{self, Content};
use super::documents::Kept;
use crate::clock;
use crate::store::Store;
use crate::store::atomic::{self, DiskError};
use crate::supervisor::Supervisor;
use muster_protocol::cbor;
use muster_protocol::id::ModelId;
use muster_protocol::limits::DOCUMENT_BYTES_MAX;
use muster_protocol::message::window::Window;
use muster_protocol::message::{Document, Gap, GapReason};
use std::path::{Path, PathBuf};

impl Supervisor {
    /// Stores an open window as it stands.
    pub(in crate::supervisor) fn write_checkpoint(&self, window: &[u8]) {
        let Ok(mut window) = cbor::decode::<Window<'_>>(window) else {
            return;
        };
        window.unix = self.time().unix(clock::monotonic());
        let path = path_of(&self.store, &window);
        let body = self.outbox.body(Content::Window(window));
        if let Err(error) = atomic::write(&path, &body) {
            tracing::warn!("{error}");
        }
    }
}

impl Outbox {
    /// The window of a body is durable: a checkpoint of it must not be counted again.
    pub(super) fn remove_checkpoint_of(&self, store: &Store, body: &[u8]) {
        let document = cbor::decode::<Document<'_>>(body).ok();
        let Some(window) = document.and_then(|document| document.window) else {
            return;
        };
        let path = path_of(store, &window);
        let open = atomic::read(&path, DOCUMENT_BYTES_MAX).ok().flatten();
        if open.is_some_and(|open| bodies::holds(body, &open))
            && let Err(error) = atomic::remove_durably(&path)
        {
            tracing::warn!("{error}");
        }
    }

    /// A checkpoint found at the start: the agent was cut off, which is said. Its window is closed
    /// as it stands, unless it was stored just before the cut; what came after it is lost.
    pub(in crate::supervisor) fn close_checkpoint(&mut self, path: &Path) -> Result<(), DiskError> {
        // What cannot be read is as lost as what was never written.
        let body = atomic::read(path, DOCUMENT_BYTES_MAX);
        let body = body.unwrap_or_default().unwrap_or_default();
        let model = model_of(&body);
        // First: cut in between, it is said twice rather than never.
        self.put_power_cut(model.clone());
        let kept = (model.is_some() && !self.has_window_of(&body)).then(|| self.put_window(body));
        if kept == Some(Kept::InMemory) {
            // It is removed when the disk takes the window.
            return Ok(());
        }
        atomic::remove_durably(path)
    }

    /// Whether a stored body or document holds the window that the body `open` became.
    fn has_window_of(&self, open: &[u8]) -> bool {
        let stored = self.windows.queue.bodies();
        stored.iter().any(|bytes| bodies::holds(bytes, open))
    }

    fn put_power_cut(&mut self, model: Option<ModelId>) {
        let gap = Gap {
            model,
            reason: GapReason::PowerCut,
            closed_windows: 0,
            calls: 0,
        };
        let body = self.body(Content::Gap(gap));
        self.put_window(body);
    }
}

fn model_of(body: &[u8]) -> Option<ModelId> {
    let document = cbor::decode::<Document<'_>>(body).ok()?;
    Some(document.window?.model)
}

/// One for each bundle and role: two tasks of a model and its shadow may run at a time.
fn path_of(store: &Store, window: &Window<'_>) -> PathBuf {
    let bundle = window.bundle.hex().to_string();
    let role = window.shadow.as_ref().map_or("", |_| "-shadow");
    store.checkpoint(&format!("{}-{}{role}", window.model, &bundle[..16]))
}
