//! Which pieces to ask for next: in order, a window ahead, again after silence.
//!
//! Knows pieces by number only. Whoever feeds it has verified them; it never sees bytes. A
//! fault of the network is never a verdict on a bundle: it only delays.

use crate::backoff::Backoff;
use muster_protocol::digest::Digest;
use muster_protocol::limits::LAYERS_MAX;
use muster_protocol::time::Millis;

/// Pieces asked for and not yet received, at most: what a crash can make us fetch again.
pub const WINDOW_PIECES: u32 = 16;
/// Silence after which the rest is asked for again, at first.
const SILENCE_MS: u64 = 5_000;
/// Longest such silence.
const SILENCE_MS_MAX: u64 = 120_000;

/// One layer that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Digest as sent.
    pub digest: Digest,
    /// Its pieces.
    pub pieces: u32,
    /// Verified pieces from the start that are on disk already.
    pub have: u32,
}

/// What a fetcher hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// The link is up.
    Connected,
    /// The link is down: nothing that was asked for will come.
    Disconnected,
    /// A piece was verified and written.
    Verified {
        /// Its layer.
        layer: Digest,
        /// Its number.
        index: u32,
    },
    /// A piece did not match its hash, or the fleet said that there is none.
    Unusable {
        /// Its layer.
        layer: Digest,
    },
    /// Time has passed.
    Tick,
}

/// What a fetcher asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Ask for `count` pieces from `index` on.
    Request {
        /// The layer.
        layer: Digest,
        /// First piece.
        index: u32,
        /// How many.
        count: u32,
    },
    /// Every piece of every layer is there.
    Complete,
}

/// Fetches the layers of one bundle, one after the other.
#[derive(Debug)]
pub struct Fetcher {
    layers: heapless::Vec<Wanted, LAYERS_MAX>,
    current: usize,
    /// Pieces of the current layer below this were asked for.
    asked: u32,
    connected: bool,
    complete_said: bool,
    silence: Backoff,
    deadline: Option<Millis>,
}

impl Fetcher {
    /// Starts disconnected.
    #[must_use]
    pub fn new(layers: impl IntoIterator<Item = Wanted>, seed: u64) -> Self {
        Self {
            layers: layers
                .into_iter()
                .filter(|l| l.have < l.pieces)
                .take(LAYERS_MAX)
                .collect(),
            current: 0,
            asked: 0,
            connected: false,
            complete_said: false,
            silence: Backoff::new(SILENCE_MS, SILENCE_MS_MAX, seed),
            deadline: None,
        }
    }

    /// Takes one input.
    pub fn handle(&mut self, input: Input, now: Millis) {
        match input {
            Input::Connected => {
                self.connected = true;
                self.restart();
            }
            Input::Disconnected => {
                self.connected = false;
                self.deadline = None;
            }
            Input::Verified { layer, index } => self.verified(layer, index, now),
            // Ask again after a pause: the next answer may be another one.
            Input::Unusable { layer } => {
                if self
                    .layers
                    .get(self.current)
                    .is_some_and(|l| l.digest == layer)
                {
                    self.asked = self.layers[self.current].pieces;
                    self.deadline = Some(now.plus(self.silence.next_ms()));
                }
            }
            Input::Tick => {
                if self.deadline.is_some_and(|deadline| deadline <= now) {
                    self.restart();
                }
            }
        }
    }

    /// What to do next, if anything.
    pub fn poll_output(&mut self, now: Millis) -> Option<Output> {
        let Some(layer) = self.layers.get(self.current) else {
            return (!core::mem::replace(&mut self.complete_said, true))
                .then_some(Output::Complete);
        };
        self.asked = self.asked.max(layer.have);
        let end = layer.pieces.min(layer.have + WINDOW_PIECES);
        // Half a window at a time, so that requests are few and the link never idles.
        let enough = end.saturating_sub(self.asked) >= WINDOW_PIECES / 2 || end == layer.pieces;
        if !self.connected || self.asked >= end || !enough {
            return None;
        }
        let request = Output::Request {
            layer: layer.digest,
            index: self.asked,
            count: end - self.asked,
        };
        self.asked = end;
        if self.deadline.is_none() {
            self.deadline = Some(now.plus(self.silence.next_ms()));
        }
        Some(request)
    }

    /// When to call with [`Input::Tick`], and why.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Millis, &'static str)> {
        self.deadline
            .map(|deadline| (deadline, "pieces asked for have not come"))
    }

    /// Verified pieces and all pieces, for showing progress.
    #[must_use]
    pub fn progress(&self) -> (u32, u32) {
        self.layers
            .iter()
            .fold((0, 0), |(have, all), l| (have + l.have, all + l.pieces))
    }

    fn verified(&mut self, digest: Digest, index: u32, now: Millis) {
        let Some(layer) = self.layers.get_mut(self.current) else {
            return;
        };
        // Late and repeated pieces change nothing.
        if layer.digest != digest || layer.have != index {
            return;
        }
        layer.have += 1;
        self.silence.reset();
        self.deadline = Some(now.plus(SILENCE_MS));
        if layer.have == layer.pieces {
            self.current += 1;
            self.asked = 0;
            self.deadline = None;
        }
    }

    const fn restart(&mut self) {
        self.asked = 0;
        self.deadline = None;
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    const A: Digest = Digest([1; 32]);
    const B: Digest = Digest([2; 32]);

    fn drain(fetcher: &mut Fetcher, now: Millis) -> Vec<Output> {
        core::iter::from_fn(|| fetcher.poll_output(now)).collect()
    }

    fn request(layer: Digest, index: u32, count: u32) -> Output {
        Output::Request {
            layer,
            index,
            count,
        }
    }

    fn wanted(digest: Digest, pieces: u32, have: u32) -> Wanted {
        Wanted {
            digest,
            pieces,
            have,
        }
    }

    #[test]
    fn pieces_are_asked_for_in_order_and_a_window_ahead() {
        let now = Millis(0);
        let mut fetcher = Fetcher::new([wanted(A, 40, 0), wanted(B, 1, 0)], 1);
        assert_eq!(drain(&mut fetcher, now), []);
        fetcher.handle(Input::Connected, now);
        assert_eq!(drain(&mut fetcher, now), [request(A, 0, 16)]);
        let mut seen = Vec::new();
        for index in 0..40 {
            fetcher.handle(Input::Verified { layer: A, index }, now);
            seen.extend(drain(&mut fetcher, now));
        }
        assert_eq!(
            seen,
            [
                request(A, 16, 8),
                request(A, 24, 8),
                request(A, 32, 8),
                request(B, 0, 1)
            ]
        );
        fetcher.handle(Input::Verified { layer: B, index: 0 }, now);
        assert_eq!(drain(&mut fetcher, now), [Output::Complete]);
        assert_eq!(drain(&mut fetcher, now), []);
    }

    #[test]
    fn what_is_on_disk_is_not_asked_for_again() {
        let mut fetcher = Fetcher::new([wanted(A, 3, 3), wanted(B, 10, 9)], 1);
        fetcher.handle(Input::Connected, Millis(0));
        assert_eq!(drain(&mut fetcher, Millis(0)), [request(B, 9, 1)]);
        assert_eq!(
            drain(&mut Fetcher::new([wanted(A, 3, 3)], 1), Millis(0)),
            [Output::Complete]
        );
    }

    #[test]
    fn silence_and_reconnecting_ask_again_from_what_is_missing() {
        let mut fetcher = Fetcher::new([wanted(A, 10, 0)], 1);
        fetcher.handle(Input::Connected, Millis(0));
        drain(&mut fetcher, Millis(0));
        fetcher.handle(Input::Verified { layer: A, index: 0 }, Millis(10));
        let (deadline, _) = fetcher.poll_timeout().expect("waits");
        fetcher.handle(Input::Tick, Millis(deadline.0 - 1));
        assert_eq!(drain(&mut fetcher, deadline), []);
        fetcher.handle(Input::Tick, deadline);
        assert_eq!(drain(&mut fetcher, deadline), [request(A, 1, 9)]);
        fetcher.handle(Input::Disconnected, deadline);
        assert_eq!(fetcher.poll_timeout(), None);
        fetcher.handle(Input::Connected, deadline);
        assert_eq!(drain(&mut fetcher, deadline), [request(A, 1, 9)]);
    }

    #[test]
    fn a_partial_bundle_is_asked_for_and_never_complete() {
        let mut fetcher = Fetcher::new([wanted(A, 1, 0), wanted(B, 2, 1)], 1);
        let mut now = Millis(0);
        fetcher.handle(Input::Connected, now);
        assert_eq!(drain(&mut fetcher, now), [request(A, 0, 1)]);
        fetcher.handle(Input::Verified { layer: A, index: 0 }, now);
        // The last piece is kept back for ever.
        for _ in 0..100 {
            assert_eq!(drain(&mut fetcher, now), [request(B, 1, 1)]);
            now = fetcher.poll_timeout().expect("waits").0;
            fetcher.handle(Input::Tick, now);
        }
    }

    #[test]
    fn slow_retrieval_takes_long_and_loses_no_piece() {
        let mut fetcher = Fetcher::new([wanted(A, 10, 0)], 1);
        let mut now = Millis(0);
        fetcher.handle(Input::Connected, now);
        assert_eq!(drain(&mut fetcher, now), [request(A, 0, 10)]);
        for index in 0..10 {
            // Each piece comes in the last moment before the device would ask again.
            now = Millis(fetcher.poll_timeout().expect("waits").0.0 - 1);
            fetcher.handle(Input::Tick, now);
            fetcher.handle(Input::Verified { layer: A, index }, now);
            let expect = if index == 9 {
                &[Output::Complete][..]
            } else {
                &[]
            };
            assert_eq!(drain(&mut fetcher, now), expect, "{index}");
        }
    }

    #[test]
    fn a_bad_piece_delays_and_never_ends_the_fetch() {
        let mut fetcher = Fetcher::new([wanted(A, 2, 0)], 1);
        let mut now = Millis(0);
        fetcher.handle(Input::Connected, now);
        for _ in 0..100 {
            assert_eq!(drain(&mut fetcher, now), [request(A, 0, 2)]);
            fetcher.handle(Input::Unusable { layer: A }, now);
            assert_eq!(drain(&mut fetcher, now), []);
            now = fetcher.poll_timeout().expect("backs off").0;
            fetcher.handle(Input::Tick, now);
        }
    }
}
