//! The fetcher: it asks only for pieces that there are and that are not there, a window ahead.

use super::super::reader::Reader;
use super::OUTPUTS_MAX;
use muster_device::fetcher::{Fetcher, Input, Output, WINDOW_PIECES, Wanted};
use muster_protocol::digest::Digest;
use muster_protocol::limits::PIECES_MAX;
use muster_protocol::time::Millis;

pub fn run(input: &mut Reader<'_>) {
    let layers: Vec<Wanted> = (0..input.byte() % 10)
        .map(|n| Wanted {
            digest: Digest([n % 8; 32]),
            pieces: input.u64() as u32 % (PIECES_MAX + 1),
            have: input.u64() as u32 % (PIECES_MAX + 1),
        })
        .collect();
    let mut fetcher = Fetcher::new(layers.iter().copied(), input.u64());
    let mut now = Millis(input.u64());
    let mut complete = false;
    while !input.is_empty() {
        let before = fetcher.progress();
        fetcher.handle(event(input), now);
        let after = fetcher.progress();
        assert!(before.0 <= after.0 && before.1 == after.1 && after.0 <= after.1);
        complete |= drain(&mut fetcher, &layers, now);
        assert!(!complete || after.0 == after.1);
        now = now.plus(input.u64());
        // A moment without end is no reason to fall over.
        assert!(
            fetcher
                .poll_timeout()
                .is_none_or(|(_, why)| !why.is_empty())
        );
    }
}

fn event(input: &mut Reader<'_>) -> Input {
    let layer = |input: &mut Reader<'_>| Digest([input.byte() % 8; 32]);
    match input.byte() % 6 {
        0 => Input::Connected,
        1 => Input::Disconnected,
        2 | 3 => Input::Verified {
            layer: layer(input),
            index: input.u64() as u32,
        },
        4 => Input::Unusable {
            layer: layer(input),
        },
        _ => Input::Tick,
    }
}

/// Whether it said that everything is there.
fn drain(fetcher: &mut Fetcher, layers: &[Wanted], now: Millis) -> bool {
    for _ in 0..OUTPUTS_MAX {
        match fetcher.poll_output(now) {
            None => return false,
            Some(Output::Complete) => return true,
            Some(Output::Request {
                layer,
                index,
                count,
            }) => {
                assert!((1..=WINDOW_PIECES).contains(&count));
                let mut wanted = layers.iter().filter(|wanted| wanted.digest == layer);
                assert!(wanted.any(|wanted| index + count <= wanted.pieces));
            }
        }
    }
    panic!("requests without end");
}
