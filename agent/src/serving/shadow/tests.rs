//! What serves and its shadow with real workers, joined by a tap as the supervisor joins them.

use super::*;
use crate::config::BudgetConfig;
use crate::infer::tests::onnx;
use crate::serve::backend::{Failure, Job};
use crate::serving::{self, Start, sample};
use crate::tensor::Tensor;
use crate::worker::tests::Fixture;
use muster_protocol::cbor;
use muster_protocol::id::EpochGeneration;
use muster_protocol::message::{Role, Window};
use muster_protocol::stats::difference;
use muster_protocol::time::Millis;
use std::time::Duration;

/// Far above what any wait here takes.
const DEADLINE: Duration = Duration::from_secs(60);
const ALL: Share = Share {
    cpu_per_mille: 1000,
    sample_per_mille: 1000,
};

/// A model with two scores for `x` of shape [N, 2]: its first one is `x` times `factor`.
fn scores(factor: f32) -> onnx::Onnx {
    onnx::Onnx::default()
        .input("x", &[None, Some(2)])
        .weight("w", &[2], &[factor, 1.0])
        .node("", "Mul", &["x", "w"], "y")
        .output("y", &[None, Some(2)])
}

/// A model that takes another input than [`scores`].
fn other_input() -> onnx::Onnx {
    onnx::Onnx::default()
        .input("x", &[None, Some(3)])
        .weight("w", &[3], &[1.0; 3])
        .node("", "Mul", &["x", "w"], "y")
        .output("y", &[None, Some(3)])
}

fn plan(fixture: &Fixture, role: Role, bundle: u8) -> Plan {
    let model = std::fs::read(&fixture.model).expect("the model is there");
    Plan {
        program: fixture.program.clone(),
        model_path: fixture.model.clone(),
        model_digest: Digest::of(&model),
        model_bytes: model.len() as u64,
        ..sample::plan(role, bundle)
    }
}

/// A model that serves and its shadow, and what both told.
struct Bench {
    serving: Option<serving::Handle>,
    shadow: Handle,
    tap: Arc<Tap>,
    events: mpsc::Receiver<Event>,
    _fixtures: [Fixture; 2],
}

impl Bench {
    /// Both are ready, and the shadow sees what it may.
    async fn ready(shadow: &onnx::Onnx, share: Share) -> Self {
        let fixtures = [scores(1.0), shadow.clone()].map(|model| Fixture::new(&model.build()));
        let (told, events) = mpsc::channel(1024);
        let tap = Arc::new(Tap::default());
        let served = plan(&fixtures[0], Role::Serve, 1);
        let serving = serving::start(served, Start::Now, tap.clone(), told.clone());
        let shadow = start(plan(&fixtures[1], Role::Shadow, 2), tap.clone(), told);
        let mut bench = Self {
            serving: Some(serving),
            shadow,
            tap,
            events,
            _fixtures: fixtures,
        };
        bench
            .wait_for(|event| matches!(event, Event::Ready { seat, .. } if seat.is_shadow()))
            .await;
        let samples = bench.shadow.samples.clone();
        bench.tap.open(samples, share, 1, Millis(0));
        bench
    }

    async fn wait_for(&mut self, is_it: impl Fn(&Event) -> bool) -> Event {
        let found = async {
            loop {
                let event = self.events.recv().await.expect("a task lives");
                if is_it(&event) {
                    break event;
                }
            }
        };
        tokio::time::timeout(DEADLINE, found)
            .await
            .expect("in time")
    }

    /// Asks what serves; its answer is none of the shadow's business.
    async fn ask(&self, rows: &[[f32; 2]]) -> Result<Vec<Tensor>, Failure> {
        let flat: Vec<f32> = rows.iter().flatten().copied().collect();
        let x = Tensor::from_f32("x", vec![rows.len(), 2], &flat).expect("valid");
        let (reply, answer) = oneshot::channel();
        let inputs = vec![x];
        let serving = self.serving.as_ref().expect("it serves");
        let id = None;
        let sent = serving.requests.send(Job { inputs, id, reply }).await;
        assert!(sent.is_ok());
        answer
            .await
            .expect("an answer")
            .map(|answer| answer.outputs)
    }

    /// Waits until the shadow has dealt with what it was given.
    async fn settled(&self) {
        let settled = async {
            while self.tap.is_busy() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(DEADLINE, settled)
            .await
            .expect("in time");
    }

    /// Ends the shadow; gives its last window.
    async fn end(mut self) -> Vec<u8> {
        self.tap.close();
        self.shadow.end();
        let closed =
            |event: &Event| matches!(event, Event::Window(closed) if closed.served.is_some());
        match self.wait_for(closed).await {
            Event::Window(closed) => closed.window,
            _ => unreachable!("what was waited for"),
        }
    }
}

/// Asks three requests, one of two rows, of a shadow that says something else about one row.
#[tokio::test]
async fn a_shadow_is_asked_the_same_and_compared_row_by_row() {
    let bench = Bench::ready(&scores(2.0), ALL).await;
    for rows in [&[[1.0, 3.0]][..], &[[1.0, 1.5], [0.0, 1.0]], &[[0.0, 0.0]]] {
        assert_eq!(bench.ask(rows).await.expect("answered").len(), 1);
        bench.settled().await;
    }
    let bytes = bench.end().await;
    let window: Window<'_> = cbor::decode(&bytes).expect("a window");
    assert_eq!(
        (window.bundle, window.since),
        (Digest([2; 32]), EpochGeneration::new(1, 2))
    );
    assert_eq!((window.calls, window.errors.len()), (4, 0));
    let shadow = window.shadow.expect("that of a shadow");
    assert_eq!(shadow.beside, Digest([1; 32]));
    assert_eq!((shadow.served, shadow.compared), (4, 4));
    let cells: Vec<_> = shadow.agreement.iter().collect();
    let cells: Vec<_> = cells
        .iter()
        .map(|c| (c.serving, c.shadow, c.count))
        .collect();
    assert_eq!(cells, [(0, 0, 1), (1, 0, 1), (1, 1, 2)]);
    let buckets: Vec<_> = shadow
        .differences
        .iter()
        .map(|d| (d.bucket, d.count))
        .collect();
    assert_eq!(buckets, [(0, 2), (difference::bucket(2.0, 1.0), 2)]);
    let requests = |counts: u32, count: u32| counts + count;
    assert_eq!(window.latency.iter().map(|l| l.count).fold(0, requests), 3);
    assert_eq!(shadow.latency.iter().map(|l| l.count).fold(0, requests), 3);
}

#[tokio::test]
async fn what_a_shadow_may_not_take_is_served_all_the_same() {
    let none = Share {
        cpu_per_mille: 0,
        ..ALL
    };
    let bench = Bench::ready(&scores(2.0), none).await;
    for _ in 0..5 {
        assert!(bench.ask(&[[1.0, 3.0]]).await.is_ok());
    }
    let bytes = bench.end().await;
    let window: Window<'_> = cbor::decode(&bytes).expect("a window");
    let shadow = window.shadow.expect("that of a shadow");
    assert_eq!((window.calls, shadow.served, shadow.compared), (0, 5, 0));
}

#[tokio::test]
async fn a_shadow_that_fails_fails_alone() {
    let mut bench = Bench::ready(&other_input(), ALL).await;
    let requests = BudgetConfig::default().requests_min;
    for _ in 0..requests {
        assert!(bench.ask(&[[1.0, 3.0]]).await.is_ok());
        bench.settled().await;
    }
    let failed = |event: &Event| matches!(event, Event::Failed { .. });
    match bench.wait_for(failed).await {
        Event::Failed { seat, verdict, .. } => {
            assert!(seat.is_shadow());
            assert_eq!(verdict.reason, muster_protocol::message::Reason::ErrorRate);
        }
        _ => unreachable!("what was waited for"),
    }
    let bytes = bench.end().await;
    let window: Window<'_> = cbor::decode(&bytes).expect("a window");
    let errors: u64 = window
        .errors
        .iter()
        .map(|error| u64::from(error.count))
        .sum();
    let shadow = window.shadow.expect("that of a shadow");
    assert_eq!(
        (errors, shadow.served, shadow.compared),
        (requests, requests, 0)
    );
}

#[tokio::test]
async fn what_two_bundles_answered_is_counted_in_two_windows() {
    let mut bench = Bench::ready(&scores(1.0), ALL).await;
    assert!(bench.ask(&[[1.0, 3.0]]).await.is_ok());
    bench.settled().await;
    let x = || Tensor::from_f32("x", vec![1, 2], &[1.0, 3.0]).expect("valid");
    let y = || Tensor::from_f32("y", vec![1, 2], &[1.0, 3.0]).expect("valid");
    let next = Digest([3; 32]);
    bench.tap.offer(next, 1, Millis(100_000), || Sample {
        beside: next,
        inputs: vec![x()],
        outputs: vec![y()],
        latency_us: 5,
    });
    let is_window = |event: &Event| matches!(event, Event::Window(_));
    let Event::Window(closed) = bench.wait_for(is_window).await else {
        unreachable!("what was waited for")
    };
    let before: Window<'_> = cbor::decode(&closed.window).expect("a window");
    let before = before.shadow.expect("that of a shadow");
    assert_eq!(
        (before.beside, before.served, before.compared),
        (Digest([1; 32]), 1, 1)
    );
    bench.settled().await;
    let bytes = bench.end().await;
    let after: Window<'_> = cbor::decode(&bytes).expect("a window");
    let after = after.shadow.expect("that of a shadow");
    assert_eq!((after.beside, after.served, after.compared), (next, 1, 1));
}

#[tokio::test]
async fn a_shadow_without_anything_to_compare_with_closes_no_window() {
    let mut bench = Bench::ready(&scores(1.0), ALL).await;
    bench.tap.close();
    bench.shadow.end();
    let told = bench.wait_for(|event| matches!(event, Event::Window(_) | Event::Ended { .. }));
    assert!(matches!(told.await, Event::Ended { seat, .. } if seat.is_shadow()));
}
