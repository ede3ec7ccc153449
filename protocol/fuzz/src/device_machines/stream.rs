//! A stream: numbers go up one by one, and nothing that is acknowledged comes again.

use super::super::reader::Reader;
use super::OUTPUTS_MAX;
use muster_device::stream::{Acked, Handle, Input, MergeClass, Output, Pending, Readiness, Stream};
use muster_protocol::cbor::List;
use muster_protocol::digest::Digest;
use muster_protocol::id::{DeviceId, EpochGeneration, Sequence, StreamId};
use muster_protocol::limits::FROZEN_MAX;
use muster_protocol::message::{Ack, RejectReason, Rejected};
use muster_protocol::time::Millis;

const ROOM: usize = 4;
const ID: StreamId = StreamId([1; 8]);

pub fn run(input: &mut Reader<'_>) {
    // What was acknowledged is what this device once numbered: never near the end of numbers.
    let through = Sequence(input.u64() >> 1);
    let frozen = input.u64() % (2 * FROZEN_MAX as u64);
    let mut stream = Stream::<ROOM>::new(ID, through, frozen, input.u64());
    let mut now = Millis(input.u64());
    let mut bodies = 0;
    while !input.is_empty() {
        let (kept, next) = (stream.first_kept(), stream.next());
        hear(&mut stream, &mut bodies, input, now);
        assert!(stream.first_kept() >= kept && stream.next() >= next);
        assert!(stream.next().0 - stream.first_kept().0 <= FROZEN_MAX as u64);
        drain(&mut stream, input, now);
        assert!(stream.pending() <= ROOM && stream.held().count() <= stream.pending());
        now = now.plus(input.u64());
    }
}

fn hear(stream: &mut Stream<ROOM>, bodies: &mut u64, input: &mut Reader<'_>, now: Millis) {
    let event = match input.byte() % 10 {
        0 | 1 => {
            *bodies += 1;
            Input::Added(pending(*bodies, input))
        }
        2 => Input::Frozen(Handle(input.u64())),
        3 => Input::Merged(pending(input.u64(), input)),
        4 => Input::Released(pending(input.u64(), input)),
        5 => Input::CoveredStored,
        6 => Input::Connected,
        7 => Input::Disconnected,
        8 => Input::Tick,
        _ => return acknowledge(stream, input),
    };
    let full = stream.pending() == ROOM;
    let refused = stream.handle(event, now).is_err();
    assert!(full || !refused, "a body is refused though there is room");
}

fn pending(body: u64, input: &mut Reader<'_>) -> Pending {
    let (class, readiness) = (input.byte() % 4, input.byte() & 1);
    Pending {
        body: Handle(body),
        class: (class > 0).then_some(MergeClass {
            bundle: Digest([class; 32]),
            since: EpochGeneration::new(1, 1),
            reference: None,
            latency_objective_us: None,
            beside: None,
        }),
        readiness: if readiness == 0 {
            Readiness::Ready
        } else {
            Readiness::Held
        },
        closed_windows: input.u64() as u32,
    }
}

fn acknowledge(stream: &mut Stream<ROOM>, input: &mut Reader<'_>) {
    let near = stream
        .first_kept()
        .0
        .saturating_add(u64::from(input.byte() % 24));
    let through = if input.byte() & 7 == 7 {
        Sequence(input.u64())
    } else {
        Sequence(near)
    };
    let rejected: Vec<_> = (0..input.byte() % 17)
        .map(|_| Rejected {
            sequence: Sequence(
                stream
                    .first_kept()
                    .0
                    .saturating_add(u64::from(input.byte())),
            ),
            reason: RejectReason::Malformed,
        })
        .collect();
    let ack = Ack {
        device: DeviceId::parse("press-07").expect("a valid name"),
        stream: StreamId([u8::from(input.byte() & 15 != 15); 8]),
        through,
        rejected: List::of(&rejected),
    };
    let next = stream.next();
    match stream.acknowledged(&ack) {
        Acked::BeyondSent => assert!(ack.through >= next),
        Acked::Taken => assert!(ack.through < next && ack.stream == ID),
        Acked::Ignored => {}
    }
}

/// Takes every output, and answers some of them as a host does.
fn drain(stream: &mut Stream<ROOM>, input: &mut Reader<'_>, now: Millis) {
    let answers = input.byte() & 1 == 0;
    for _ in 0..OUTPUTS_MAX {
        let Some(output) = stream.poll_output(now) else {
            return;
        };
        let answer = match output {
            Output::Freeze { body, sequence } => {
                assert_eq!(sequence, stream.next());
                Some(Input::Frozen(body))
            }
            Output::Send { sequence } => {
                assert!((stream.first_kept()..stream.next()).contains(&sequence));
                None
            }
            Output::Covered { through } => {
                assert!((stream.first_kept()..stream.next()).contains(&through));
                Some(Input::CoveredStored)
            }
            Output::Merge { earlier, later } | Output::Overflow { earlier, later } => {
                assert_ne!(earlier, later);
                Some(Input::Merged(pending(later.0, input)))
            }
            Output::Quarantine { .. } | Output::Supersede => None,
        };
        if let Some(answer) = answer.filter(|_| answers) {
            assert!(stream.handle(answer, now).is_ok());
        }
    }
    panic!("outputs without end");
}
