//! What serves is asked, and what it did is counted into windows.
//!
//! A power cut takes the open window: only closed ones are promised.

use super::super::bodies;
use super::super::catalogue::Fate;
use super::super::disk::{Stream as Which, Write};
use super::super::planted::Planted;
use super::{Around, Device, Effect};
use muster_device::fold::{Subject, WindowFold};
use muster_device::updater::Input;
use muster_protocol::digest::Digest;
use muster_protocol::id::{EpochGeneration, ModelId};
use muster_protocol::message::Reason;
use muster_protocol::message::document::Body as Content;
use muster_protocol::stats::{FeatureFold, Scale, Transform};
use muster_protocol::time::Millis;

/// Pause before a worker is started again that could not be.
const RESTART_MS: u64 = 600_000;
/// Length of a window.
const WINDOW_MS: u64 = 600_000;
/// Windows of time that a window of few samples waits for others to merge with.
const HELD_WINDOWS_MAX: u64 = 3;

/// The open window of what serves.
#[derive(Debug)]
pub(super) struct Serving {
    bundle: Digest,
    window: WindowFold<Vec<FeatureFold>>,
    closes: Millis,
}

impl Serving {
    pub(super) const fn due(&self) -> Millis {
        self.closes
    }
}

impl Device {
    /// The worker that was asked for serves, unless something else shall serve by now.
    pub(super) fn ready(&mut self, model: &ModelId, bundle: Digest, around: &mut Around<'_>) {
        if !self.serves(model, bundle) {
            return;
        }
        // A worker reads its blobs anew, and so notices what a disk did to them.
        if !self.disk.is_whole(bundle) {
            if around.planted != Some(Planted::WriteBeforeVerifying) {
                let model = model.clone();
                self.serving_fails(&model, bundle, Reason::Blob, around);
                return self.later(RESTART_MS, Effect::Restart { model, bundle });
            }
            self.broke("nothing unverified serves", format!("{model}: {bundle}"));
        }
        let release = around.catalogue.by_bundle(bundle);
        self.note(
            around,
            "serves",
            release.map_or(0, |r| r.rank.0.into()),
            || {
                format!(
                    "{model} {}",
                    release.map_or("?", |release| release.version.as_str())
                )
            },
        );
        self.end_serving(model, around);
        let state = self
            .running()
            .updaters
            .get(model)
            .map(|updater| updater.state());
        let since = state
            .and_then(|s| s.active.as_ref())
            .map(|slot| slot.release.since);
        let clock = self.clock(around.now);
        let serving = Serving {
            bundle,
            window: WindowFold::new(
                subject(model, bundle, since.unwrap_or_default()),
                features(),
                clock,
            ),
            closes: clock.plus(WINDOW_MS),
        };
        let running = self.running();
        running.routes.insert(model.clone(), bundle);
        running.serving.insert(model.clone(), serving);
        self.feed(model, Input::Routed(bundle), around);
        if release.is_some_and(|release| release.fate == Fate::FailsOnProbation) {
            let model = model.clone();
            self.later(120_000, Effect::Crash { model, bundle });
        }
    }

    /// Nothing answers any more; the last window is closed.
    pub(super) fn end_serving(&mut self, model: &ModelId, around: &Around<'_>) {
        self.running().routes.remove(model);
        if let Some(serving) = self.running().serving.remove(model) {
            self.close(serving, around);
        }
    }

    pub(super) fn close_windows(&mut self, around: &Around<'_>) {
        let clock = self.clock(around.now);
        let serving = self.running().serving.iter();
        let due: Vec<_> = serving
            .filter(|(_, serving)| serving.closes <= clock)
            .map(|(model, _)| model.clone())
            .collect();
        for model in due {
            let Some(serving) = self.running().serving.remove(&model) else {
                continue;
            };
            let again = self.close(serving, around);
            self.running().serving.insert(model, again);
        }
    }

    /// Closes a window after what was asked of it, and opens the next.
    fn close(&mut self, mut serving: Serving, around: &Around<'_>) -> Serving {
        let clock = self.clock(around.now);
        if around.asked {
            for _ in 0..self.random.below(3) {
                let rows = 1 + u32::try_from(self.random.below(30)).unwrap_or_default();
                serving.window.answered(rows, 900);
                (0..rows).for_each(|row| serving.window.value(0, Some((row % 7) as f32)));
            }
        }
        if !serving.window.is_empty() {
            let (device, boot) = (self.id.clone(), self.running().boot);
            let unix = self.running().time.unix(clock);
            let body = serving.window.with_window(clock, unix, |window| {
                bodies::encode(Content::Window(window.clone()), &device, boot)
            });
            self.put(Which::Windows, body);
        }
        serving.window.reset(clock);
        serving.closes = clock.plus(WINDOW_MS);
        serving
    }

    /// A window of few samples that no later one will join is sent without what could show single
    /// values.
    pub(super) fn release_held(&mut self, around: &Around<'_>) -> bool {
        let clock = self.clock(around.now);
        let running = self.running();
        let under_way = running
            .writing
            .iter()
            .any(|w| matches!(w, Write::Replace { earlier: None, .. }));
        if under_way {
            return false;
        }
        let served: Vec<_> = running
            .serving
            .values()
            .map(|serving| serving.bundle)
            .collect();
        let orphan = running.windows.stream.held().find(|body| {
            !body
                .class
                .is_some_and(|class| served.contains(&class.bundle))
                || !around.asked && clock.0 > HELD_WINDOWS_MAX * WINDOW_MS
        });
        let Some(later) = orphan.map(|body| body.body) else {
            return false;
        };
        let Some(body) = self
            .disk
            .windows
            .pending
            .get(&later)
            .map(bodies::without_features)
        else {
            return false;
        };
        let write = Write::Replace {
            stream: Which::Windows,
            earlier: None,
            later,
            body,
        };
        self.running().writing.push_back(write);
        true
    }
}

fn subject(model: &ModelId, bundle: Digest, since: EpochGeneration) -> Subject {
    Subject {
        model: model.clone(),
        bundle,
        since,
        reference: Some(bundle),
        latency_objective_us: None,
    }
}

fn features() -> Vec<FeatureFold> {
    let scale = Scale::new([1.0, 3.0, 5.0], Transform::Identity, 3.0, 2.0);
    vec![FeatureFold::new(scale.expect("invariant: a sound scale"))]
}
