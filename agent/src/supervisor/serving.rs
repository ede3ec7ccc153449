//! Which serving task answers for which model, and what the tasks tell.
//!
//! A swap changes the route between two requests; the old task answers what it has queued,
//! counts its last window and ends.

use super::{Supervisor, model_task};
use crate::infer::Example;
use crate::seat::Seat;
use crate::serve::backend::{Readiness, Route};
use crate::serving::{Closed, Columns, Event, Plan, Predictions, Start};
use crate::trial::Golden;
use crate::worker::{Priority, WorkerLimits};
use muster_device::updater::{Input, Release, Verdict};
use muster_protocol::digest::Digest;
use muster_protocol::id::ModelId;
use muster_protocol::message::{Reason, Role, Swap};
use std::sync::Arc;

const MIB: u64 = 1024 * 1024;

impl Supervisor {
    pub(super) fn route(&mut self, seat: &Seat, release: &Release, swap: Swap) {
        let plan = match self.plan(seat, release) {
            Ok(plan) => plan,
            Err(verdict) => {
                let bundle = release.bundle;
                return self.feed(seat, Input::ServingFailed { bundle, verdict });
            }
        };
        let model = &seat.model;
        self.end_failing(model, release.bundle);
        let occupied = self
            .serving
            .get(model)
            .is_some_and(|handles| !handles.is_empty());
        let start = match swap {
            Swap::StopFirst if occupied => Start::Gated,
            Swap::StopFirst | Swap::Overlap => Start::Now,
        };
        let tap = self.tap(model);
        let handle = model_task::start(plan, start, tap, self.serving_events.clone());
        if start == Start::Gated {
            self.queue_for(model, &handle);
            self.end_tasks(model);
        }
        self.serving.entry(model.clone()).or_default().push(handle);
    }

    /// A task of the same bundle that has no route never came to serve: the new one replaces it.
    fn end_failing(&mut self, model: &ModelId, bundle: Digest) {
        let routed = self.routes.get(model).map(|route| route.requests);
        for handle in self.serving.get_mut(model).into_iter().flatten() {
            let serves = routed
                .as_ref()
                .is_some_and(|r| r.same_channel(&handle.requests));
            if handle.bundle == bundle && !serves {
                handle.end();
            }
        }
    }

    /// While the old worker leaves, requests wait for the new one.
    fn queue_for(&self, model: &ModelId, next: &model_task::Handle) {
        if let Some(old) = self.routes.get(model) {
            let requests = next.requests.clone();
            let readiness = Readiness::Starting;
            self.routes.set(
                model.clone(),
                Route {
                    requests,
                    readiness,
                    ..old
                },
            );
        }
    }

    /// What a task of this seat needs to run a release.
    pub(super) fn plan(&self, seat: &Seat, release: &Release) -> Result<Plan, Verdict> {
        let staged = self.staged(&release.bundle)?;
        let golden = Golden::from_cbor(&staged.golden)
            .map_err(|error| Verdict::new(Reason::Manifest, &error.to_string()))?;
        let example = golden.vectors.first();
        Ok(Plan {
            seat: seat.clone(),
            release: release.clone(),
            program: self.worker_program(),
            model_path: staged.model_path,
            model_digest: staged.model.blob_digest,
            model_bytes: staged.model.blob_size,
            example: example.map_or_else(Example::default, |vector| Example::of(&vector.inputs)),
            limits: WorkerLimits {
                memory_bytes_max: self.config.worker_memory_mib_max * MIB,
                cpu_seconds_max: None,
                load_timeout_ms: self.config.trial.timeout_ms,
                run_timeout_ms: self.config.budget.request_ms_max,
                priority: match seat.role {
                    Role::Serve => Priority::Usual,
                    Role::Shadow => Priority::Lowest,
                },
            },
            features: staged.features,
            predictions: self.predictions(&seat.model),
            budget: self.config.budget.clone(),
            latency_objective_us: staged.card.latency_objective_us(),
            window_ms: self.window_ms(seat),
            checkpoint_ms: self.config.checkpoint_s * 1000,
        })
    }

    /// Those of what serves: their labels may come while the next release does.
    fn predictions(&self, model: &ModelId) -> Arc<Predictions> {
        let route = self.routes.get(model);
        route.map(|route| route.predictions).unwrap_or_default()
    }

    /// A director may ask for shorter windows, never for longer ones.
    fn window_ms(&self, seat: &Seat) -> u64 {
        let entry = self
            .updaters
            .get(seat)
            .and_then(|u| u.state().entry.as_ref());
        let asked = entry
            .and_then(|entry| entry.settings.window_s)
            .filter(|s| *s > 0);
        let own = self.config.window_s;
        asked.map_or(own, |asked| own.min(u64::from(asked))) * 1000
    }

    pub(super) fn unroute(&mut self, seat: &Seat) {
        if seat.is_shadow() {
            return self.unroute_shadow(&seat.model);
        }
        self.routes.remove(&seat.model);
        self.end_tasks(&seat.model);
    }

    fn end_tasks(&mut self, model: &ModelId) {
        for handle in self.serving.get_mut(model).into_iter().flatten() {
            handle.end();
        }
    }

    pub(super) fn on_serving(&mut self, event: Event) {
        match event {
            Event::Ready {
                seat,
                bundle,
                signature,
                columns,
                load_ms,
            } => {
                tracing::info!(model = %seat, %bundle, load_ms, "ready");
                match seat.role {
                    Role::Serve => self.ready(&seat, bundle, (signature, columns)),
                    Role::Shadow => self.shadow_ready(&seat, bundle),
                }
            }
            Event::Failed {
                seat,
                bundle,
                verdict,
            } => {
                tracing::warn!(model = %seat, %bundle, because = %verdict.detail, "it failed");
                // A failure of a task that no longer serves must not count against a candidate.
                if self.serves(&seat, &bundle) {
                    self.feed(&seat, Input::ServingFailed { bundle, verdict });
                }
            }
            Event::Recovered { seat, bundle } if self.serves(&seat, &bundle) => {
                self.feed(&seat, Input::Recovered);
            }
            // What a task says that no longer serves is no verdict on what does.
            Event::Recovered { .. } => {}
            Event::Window(closed) => self.window_closed(&closed),
            Event::Checkpoint { window } => self.write_checkpoint(&window),
            Event::Ended { seat, bundle } => match seat.role {
                Role::Serve => self.ended(&seat.model, bundle),
                Role::Shadow => self.shadow_ended(&seat.model, bundle),
            },
        }
    }

    pub(super) fn serves(&self, seat: &Seat, bundle: &Digest) -> bool {
        let active = self
            .updaters
            .get(seat)
            .and_then(|u| u.state().active.as_ref());
        active.is_some_and(|slot| slot.release.bundle == *bundle)
    }

    /// The newest task of the bundle takes the route; all others end.
    fn ready(
        &mut self,
        seat: &Seat,
        bundle: Digest,
        (signature, columns): (Arc<crate::tensor::Signature>, Arc<Columns>),
    ) {
        let model = &seat.model;
        let active = self
            .updaters
            .get(seat)
            .and_then(|u| u.state().active.clone());
        let Some(slot) = active.filter(|slot| slot.release.bundle == bundle) else {
            return;
        };
        let Some(handles) = self.serving.get_mut(model) else {
            return;
        };
        let Some(newest) = handles.iter().rposition(|handle| handle.bundle == bundle) else {
            return;
        };
        let next = &handles[newest];
        let route = Route {
            version: slot.release.version.to_string(),
            bundle,
            signature,
            columns,
            predictions: next.predictor.predictions().clone(),
            requests: next.requests.clone(),
            readiness: Readiness::Ready,
        };
        next.predictor.serve();
        self.routes.set(model.clone(), route);
        for (n, handle) in handles.iter_mut().enumerate() {
            if n != newest {
                handle.end();
            }
        }
        self.feed(seat, Input::Routed(bundle));
    }

    fn window_closed(&mut self, closed: &Closed) {
        let model = closed.subject.model.clone();
        let seat = match closed.served {
            None => Seat::serving(model),
            Some(_) => Seat::shadow(model),
        };
        let counters = self.counters.entry(seat).or_default();
        counters.closed_windows += 1;
        counters.calls += closed.calls;
        counters.served += closed.served.unwrap_or(0);
        self.put_window(closed);
    }

    fn ended(&mut self, model: &ModelId, bundle: Digest) {
        if let Some(handles) = self.serving.get_mut(model)
            && let Some(oldest) = handles.iter().position(|handle| handle.bundle == bundle)
        {
            handles.remove(oldest);
            // Whatever waited for it may start once it is the oldest itself.
            handles
                .iter_mut()
                .take(1)
                .for_each(model_task::Handle::open);
        }
    }
}
