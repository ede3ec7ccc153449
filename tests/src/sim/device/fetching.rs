//! Getting what a release consists of: statement, plan, pieces, and the key sets that say who may
//! release it.
//!
//! What does not match its digest is dropped and asked for again later: the network is never
//! evidence.

use super::super::catalogue::{self, Catalogue, FLEET_ROLE};
use super::super::disk::Write;
use super::super::planted::Planted;
use super::super::seal::Signatures;
use super::effects::capabilities;
use super::{Around, Device, Wish};
use muster_device::fetcher::{self, Fetcher, Wanted};
use muster_device::key_sets;
use muster_device::updater::{Input, Listing, Release};
use muster_protocol::cbor;
use muster_protocol::cose;
use muster_protocol::digest::Digest;
use muster_protocol::id::{KeySetVersion, ModelId};
use muster_protocol::message::Reason;
use muster_protocol::message::fetch::{Answer, Fetch, Piece, What};
use muster_protocol::message::key_set::{FleetKeySet, ModelKeySet, Place};
use muster_protocol::time::Millis;
use muster_protocol::topic::Up;

/// Silence after which a small document counts as not to be had now.
const SILENCE_MS: u64 = 20_000;

/// What is being fetched for one model.
#[derive(Debug)]
pub(super) enum Download {
    Statement {
        digest: Digest,
        deadline: Millis,
    },
    Plan {
        bundle: Digest,
        deadline: Millis,
    },
    Pieces {
        bundle: Digest,
        plan: Vec<(Digest, Vec<Digest>)>,
        fetcher: Box<Fetcher>,
    },
}

impl Download {
    pub(super) fn due(&self) -> Option<Millis> {
        match self {
            Self::Statement { deadline, .. } | Self::Plan { deadline, .. } => Some(*deadline),
            Self::Pieces { fetcher, .. } => fetcher.poll_timeout().map(|(at, _)| at),
        }
    }

    pub(super) fn is_of(&self, of: Digest) -> bool {
        match self {
            Self::Statement { .. } => false,
            Self::Plan { bundle, .. } | Self::Pieces { bundle, .. } => *bundle == of,
        }
    }
}

impl Device {
    pub(super) fn fetch_statement(&mut self, model: &ModelId, digest: Digest, around: &Around<'_>) {
        let deadline = self.clock(around.now).plus(SILENCE_MS);
        self.running()
            .downloads
            .insert(model.clone(), Download::Statement { digest, deadline });
        self.request(
            What::Blob {
                digest,
                index: 0,
                piece_size: 0,
            },
            1,
        );
    }

    pub(super) fn fetch_plan(&mut self, model: &ModelId, release: &Release, around: &Around<'_>) {
        let bundle = release.bundle;
        if self.disk.plans.contains_key(&bundle) {
            return self.feed(model, Input::Planned(bundle), around);
        }
        let deadline = self.clock(around.now).plus(SILENCE_MS);
        self.running()
            .downloads
            .insert(model.clone(), Download::Plan { bundle, deadline });
        self.request(
            What::Blob {
                digest: bundle,
                index: 0,
                piece_size: 0,
            },
            1,
        );
    }

    pub(super) fn fetch_pieces(&mut self, model: &ModelId, release: &Release, around: &Around<'_>) {
        let bundle = release.bundle;
        let stored = self.disk.plans.get(&bundle);
        let Some(plan) = stored.and_then(|plan| catalogue::read_plan(plan)) else {
            return self.fail(model, bundle, Reason::Manifest, around);
        };
        let careless = around.planted == Some(Planted::WriteBeforeVerifying);
        let layers = plan.iter();
        let wanted = layers.map(|(digest, pieces)| Wanted {
            digest: *digest,
            pieces: u32::try_from(pieces.len()).unwrap_or(u32::MAX),
            have: match careless {
                true => self.stored_pieces(*digest),
                false => self.disk.good_pieces(*digest, pieces) as u32,
            },
        });
        let wanted: Vec<_> = wanted.collect();
        let mut fetcher = Box::new(Fetcher::new(wanted, self.random.draw()));
        let clock = self.clock(around.now);
        if self.running().connected {
            fetcher.handle(fetcher::Input::Connected, clock);
        }
        let download = Download::Pieces {
            bundle,
            plan,
            fetcher,
        };
        self.running().downloads.insert(model.clone(), download);
    }

    fn stored_pieces(&self, layer: Digest) -> u32 {
        let pieces = self.disk.layers.get(&layer).map_or(0, Vec::len);
        u32::try_from(pieces).unwrap_or(u32::MAX)
    }

    pub(super) fn drain_downloads(&mut self, around: &Around<'_>) -> bool {
        let clock = self.clock(around.now);
        let (mut requests, mut complete) = (Vec::new(), Vec::new());
        for (model, download) in &mut self.running().downloads {
            let Download::Pieces {
                bundle, fetcher, ..
            } = download
            else {
                continue;
            };
            while let Some(output) = fetcher.poll_output(clock) {
                match output {
                    fetcher::Output::Request {
                        layer,
                        index,
                        count,
                    } => {
                        requests.push((layer, index, count));
                    }
                    fetcher::Output::Complete => complete.push((model.clone(), *bundle)),
                }
            }
        }
        let busy = !requests.is_empty() || !complete.is_empty();
        for (digest, index, count) in requests {
            self.request(
                What::Blob {
                    digest,
                    index,
                    piece_size: 8,
                },
                count,
            );
        }
        for (model, bundle) in complete {
            self.running().downloads.remove(&model);
            self.feed(&model, Input::Fetched(bundle), around);
        }
        busy
    }

    pub(super) fn tick_downloads(&mut self, around: &Around<'_>) {
        let clock = self.clock(around.now);
        let mut late = Vec::new();
        for (model, download) in &mut self.running().downloads {
            match download {
                Download::Pieces { fetcher, .. } => fetcher.handle(fetcher::Input::Tick, clock),
                Download::Statement { deadline, .. } | Download::Plan { deadline, .. } => {
                    if *deadline <= clock {
                        late.push(model.clone());
                    }
                }
            }
        }
        for model in late {
            self.running().downloads.remove(&model);
            self.feed(&model, Input::Unavailable, around);
        }
    }

    pub(super) fn link_downloads(&mut self, input: fetcher::Input, around: &Around<'_>) {
        let clock = self.clock(around.now);
        for download in self.running().downloads.values_mut() {
            if let Download::Pieces { fetcher, .. } = download {
                fetcher.handle(input, clock);
            }
        }
    }

    pub(super) fn on_piece(&mut self, bytes: &[u8], around: &mut Around<'_>) {
        let Ok(piece) = cbor::decode::<Piece<'_>>(bytes) else {
            return self.note(around, "piece malformed", bytes.len() as u64, String::new);
        };
        match (piece.what, piece.answer) {
            (What::Metadata { role, .. }, Answer::Bytes { bytes, .. }) => {
                self.on_key_set(role, bytes, around);
            }
            (What::Metadata { .. }, Answer::NotFound) => {}
            (
                What::Blob {
                    digest,
                    piece_size: 0,
                    ..
                },
                answer,
            ) => {
                self.on_document(digest, &answer, around);
            }
            (What::Blob { digest, index, .. }, answer) => {
                self.on_layer_piece(digest, index, &answer, around);
            }
        }
    }

    fn on_document(&mut self, digest: Digest, answer: &Answer<'_>, around: &Around<'_>) {
        let mut downloads = self.running().downloads.iter();
        let found = downloads.find_map(|(model, download)| match download {
            Download::Statement { digest: wanted, .. } if *wanted == digest => Some((model, true)),
            Download::Plan { bundle, .. } if *bundle == digest => Some((model, false)),
            Download::Statement { .. } | Download::Plan { .. } | Download::Pieces { .. } => None,
        });
        let Some((model, is_statement)) = found else {
            return;
        };
        let model = model.clone();
        let bytes = match answer {
            Answer::Bytes { bytes, .. } if Digest::of(bytes) == digest => bytes.to_vec(),
            // Other bytes than were asked for: silence will ask again.
            Answer::Bytes { .. } => return,
            Answer::NotFound => {
                self.running().downloads.remove(&model);
                return self.feed(&model, Input::Unavailable, around);
            }
        };
        if !is_statement {
            self.running().downloads.remove(&model);
            let write = Write::Plan {
                model,
                bundle: digest,
                bytes,
            };
            return self.running().writing.push_back(write);
        }
        self.running().downloads.remove(&model);
        self.on_statement(&model, &bytes, around);
    }

    /// Without the key set of its model nobody can say who may release it: that is no verdict.
    fn on_statement(&mut self, model: &ModelId, bytes: &[u8], around: &Around<'_>) {
        if !self
            .facts()
            .models
            .iter()
            .any(|facts| facts.model == *model)
        {
            self.ask_for_key_set(model.as_str());
            return self.feed(model, Input::Unavailable, around);
        }
        let (listing, capabilities) = (Listing::Unchecked, &capabilities());
        self.feed(
            model,
            Input::Statement {
                bytes,
                listing,
                capabilities,
            },
            around,
        );
    }

    fn on_layer_piece(
        &mut self,
        layer: Digest,
        index: u32,
        answer: &Answer<'_>,
        around: &mut Around<'_>,
    ) {
        let clock = self.clock(around.now);
        let careless = around.planted == Some(Planted::WriteBeforeVerifying);
        let next = self.stored_pieces(layer) + self.pieces_under_way(layer);
        let mut good = None;
        for (model, download) in &mut self.running().downloads {
            let Download::Pieces { plan, fetcher, .. } = download else {
                continue;
            };
            let Some((_, pieces)) = plan.iter().find(|(digest, _)| *digest == layer) else {
                continue;
            };
            let expected = pieces.get(index as usize);
            match answer {
                Answer::Bytes { bytes, .. }
                    if careless || Some(Digest::of(bytes)) == expected.copied() =>
                {
                    good = (index <= next).then(|| (model.clone(), bytes.to_vec()));
                }
                Answer::Bytes { .. } | Answer::NotFound => {
                    fetcher.handle(fetcher::Input::Unusable { layer }, clock);
                }
            }
        }
        if let Some((model, bytes)) = good {
            self.running().writing.push_back(Write::Piece {
                model,
                layer,
                index,
                bytes,
            });
        }
    }

    fn pieces_under_way(&mut self, layer: Digest) -> u32 {
        let writes = self.running().writing.iter();
        let of = |write: &&Write| matches!(write, Write::Piece { layer: its, .. } if *its == layer);
        u32::try_from(writes.filter(of).count()).unwrap_or(u32::MAX)
    }

    pub(super) fn piece_written(
        &mut self,
        model: &ModelId,
        layer: Digest,
        index: u32,
        around: &Around<'_>,
    ) {
        let clock = self.clock(around.now);
        if let Some(Download::Pieces { fetcher, .. }) = self.running().downloads.get_mut(model) {
            fetcher.handle(fetcher::Input::Verified { layer, index }, clock);
        }
    }

    /// Asks for the next key set of every chain: the fleet's, and those of the models.
    pub(super) fn ask_for_key_sets(&mut self) {
        self.ask_for_key_set(FLEET_ROLE);
        for model in catalogue::models() {
            self.ask_for_key_set(model.as_str());
        }
    }

    pub(super) fn ask_for_key_set(&mut self, role: &str) {
        let held = self
            .disk
            .key_sets
            .iter()
            .filter(|(its, _)| its == role)
            .count();
        let version = Some(held as u64 + 1);
        self.request(
            What::Metadata {
                role,
                version,
                offset: 0,
            },
            1,
        );
    }

    /// Checked before it is written, and taken up once it is durable.
    fn on_key_set(&mut self, role: &str, bytes: &[u8], around: &mut Around<'_>) {
        let chain = self.disk.key_sets.iter().filter(|(its, _)| its == role);
        let chain: Vec<_> = chain.collect();
        let held = chain.last().map(|(_, newest)| key_sets::Link {
            version: KeySetVersion(u32::try_from(chain.len()).unwrap_or(u32::MAX)),
            digest: Digest::of(newest),
        });
        let is_next = |place: &Place| key_sets::follow(held.as_ref(), place, bytes).is_ok();
        let under_way =
            |write: &Write| matches!(write, Write::KeySet { role: its, .. } if its == role);
        let Some(place) = place_of(role, bytes).filter(is_next) else {
            return;
        };
        let sound = match self.signatures {
            Signatures::Real => opens(role, bytes, around.catalogue),
            // Nobody signs any other; it is verified when it is taken up.
            Signatures::StandIn => {
                let version = place.version.0.into();
                around.catalogue.authority.key_set(role, version) == Some(bytes)
            }
        };
        if !sound || self.running().writing.iter().any(under_way) {
            return;
        }
        let write = Write::KeySet {
            role: role.to_owned(),
            bytes: bytes.to_vec(),
        };
        self.running().writing.push_back(write);
    }

    fn request(&mut self, what: What<'_>, count: u32) {
        let device = self.id.clone();
        let fetch = Fetch {
            device,
            what,
            count,
        };
        self.wishes
            .push(Wish::Send(Up::Fetch, cbor::to_vec(&fetch)));
    }
}

/// The place in the chain of a role that a key set claims.
fn place_of(role: &str, bytes: &[u8]) -> Option<Place> {
    if role == FLEET_ROLE {
        let set = cose::peek::<FleetKeySet<'_>>(bytes).ok()?;
        return Some(set.place);
    }
    let set = cose::peek::<ModelKeySet<'_>>(bytes).ok()?;
    (set.model.as_str() == role).then_some(set.place)
}

fn opens(role: &str, bytes: &[u8], catalogue: &Catalogue) -> bool {
    let keys = catalogue.authority.targets_keys();
    let targets = cose::KeySet {
        keys: &keys,
        threshold: 1,
    };
    let mut scratch = vec![0; cose::scratch_len(bytes.len())];
    if role == FLEET_ROLE {
        cose::open::<FleetKeySet<'_>>(bytes, targets, &mut scratch).is_ok()
    } else {
        cose::open::<ModelKeySet<'_>>(bytes, targets, &mut scratch).is_ok()
    }
}
