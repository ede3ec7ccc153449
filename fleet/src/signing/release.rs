//! A release: its statement, the model's targets that list it, and the delegation that says who
//! signs for the model.
//!
//! Pure. The listing names the digest of the signed statement, so the statement is signed first,
//! and the model's targets when enough people have.

use muster_protocol::bundle::{Card, Manifest};
use muster_protocol::cbor;
use muster_protocol::digest::{Digest, decode_hex};
use muster_protocol::message::{Statement, statement_name};
use muster_protocol::time::UnixSeconds;
use muster_protocol::tuf::{Authority, Delegation, Envelope, Key, Role, TargetFile, Targets};
use serde::{Deserialize, Serialize};

use super::base::{Ground, authority_of};
use super::part::{Content, Made, Part};
use super::wanted::{Carried, Parts, Unfit};
use crate::own_metadata::{self, VersionFloor};
use crate::release::plan;

/// A release that is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NewRelease {
    /// The payload of the statement, in hexadecimal digits.
    pub(crate) statement: String,
    /// The manifest of the bundle, as the statement names it.
    pub(crate) manifest: String,
    /// The card of the bundle, as the manifest names it.
    pub(crate) card: String,
    /// The release before, for people to compare.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last: Option<LastBundle>,
    /// Who signs for the model from now on; without it, who does already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) signers: Option<Signers>,
    /// When it was proposed, unix seconds.
    pub(crate) proposed_at_s: u64,
    /// The lowest version that the controller asks for.
    pub(crate) version_floor: u64,
}

/// Manifest and card of the last release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastBundle {
    /// Its manifest.
    pub(crate) manifest: String,
    /// Its card.
    pub(crate) card: String,
}

/// Who signs for a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Signers {
    /// Their public keys.
    pub(crate) keys: Vec<Key>,
    /// How many of them must.
    pub(crate) threshold: u32,
}

/// A release whose statement, manifest and card belong together.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Opened {
    /// What is stated.
    pub(crate) statement: Statement,
    /// What the bundle consists of.
    pub(crate) manifest: Manifest,
    /// What the model is.
    pub(crate) card: Card,
}

impl NewRelease {
    /// The role that releases the model.
    pub(crate) fn role(&self) -> Option<Role> {
        let payload = self.payload().ok()?;
        let statement = read_statement(&payload).ok()?;
        Some(Role::of_model(statement.model.as_str()))
    }

    /// The name of the statement as a target; of a proposal that is not readable, nothing.
    pub(crate) fn target_name(&self) -> String {
        let name = |payload: Vec<u8>| {
            let statement = read_statement(&payload).ok()?;
            let name = statement_name(&statement.model, &statement.version);
            Some(name.as_str().to_owned())
        };
        self.payload().ok().and_then(name).unwrap_or_default()
    }

    /// Reads it, and checks that its three documents belong together.
    ///
    /// # Errors
    /// [`Unfit::Statement`] or [`Unfit::OtherBundle`].
    pub(crate) fn opened(&self) -> Result<Opened, Unfit> {
        let statement = read_statement(&self.payload()?)?;
        let (manifest, card) = opened_bundle(&self.manifest, &self.card, statement.bundle)?;
        let fits = statement.manifest_size as usize == self.manifest.len()
            && (&statement.model, &statement.version, &statement.class)
                == (&card.model, &card.version, &card.class);
        if !fits {
            return Err(Unfit::OtherBundle("card"));
        }
        Ok(Opened {
            statement,
            manifest,
            card,
        })
    }

    pub(super) fn parts(&self, ground: &Ground, carried: &Carried) -> Result<Parts, Unfit> {
        let opened = self.opened()?;
        let role = Role::of_model(opened.statement.model.as_str());
        self.check_place(ground, &opened, &role)?;
        let (by, delegating) = self.authority(ground, &role)?;
        let statement = Part {
            content: Content::Statement(self.payload()?),
            by: vec![by.clone()],
        };
        let listing = self.listing(ground, &opened, &statement, carried)?;
        let mut now = vec![statement];
        if let Some(targets) = delegating {
            now.push(Part {
                content: Content::metadata(Role::Targets, Envelope::unsigned(&targets)?)?,
                by: vec![ground.root.authority(&Role::Targets)],
            });
        }
        let Some(listing) = listing else {
            let later = Some(role.name().to_owned());
            return Ok(Parts { now, later });
        };
        now.push(Part {
            content: Content::metadata(role, Envelope::unsigned(&listing)?)?,
            by: vec![by],
        });
        Ok(Parts { now, later: None })
    }

    fn payload(&self) -> Result<Vec<u8>, Unfit> {
        let mut payload = vec![0; self.statement.len() / 2];
        decode_hex(&self.statement, &mut payload).map_err(|_| Unfit::Statement)?;
        Ok(payload)
    }

    /// A version is released once, and ranks rise.
    fn check_place(&self, ground: &Ground, opened: &Opened, role: &Role) -> Result<(), Unfit> {
        let Some(model) = &ground.model else {
            return match authority_of(&ground.targets, role) {
                Some(_) => Err(Unfit::Withheld(role.clone())),
                None => Ok(()),
            };
        };
        let name = self.target_name();
        if model.targets.contains_key(&name) {
            return Err(Unfit::Released(name));
        }
        let (rank, last) = (opened.statement.rank.0, plan::last(model));
        match last.map(|last| last.rank) {
            Some(last) if rank <= last => Err(Unfit::Rank { rank, last }),
            _ => Ok(()),
        }
    }

    /// Who signs for the model, and the targets that say so, where that is new.
    fn authority(
        &self,
        ground: &Ground,
        role: &Role,
    ) -> Result<(Authority, Option<Targets>), Unfit> {
        let before = authority_of(&ground.targets, role);
        let Some(signers) = &self.signers else {
            let by = before.ok_or_else(|| Unfit::NoSigners(role.clone()))?;
            return Ok((by, None));
        };
        let (floor, now) = (self.floor(&ground.targets)?, self.proposed_at());
        let mut targets = own_metadata::next(Some(ground.targets.clone()), floor, now);
        let model = role.name().trim_start_matches("models/");
        targets.delegate(
            Delegation::of_model(model, signers.threshold),
            &signers.keys,
        );
        let by = authority_of(&targets, role).ok_or_else(|| Unfit::NoSigners(role.clone()))?;
        if by.threshold() == 0 || by.threshold() as usize > by.public_keys().len() {
            return Err(Unfit::Threshold);
        }
        Ok((by, Some(targets)))
    }

    /// The model's targets with the release, once its statement has all its signatures.
    fn listing(
        &self,
        ground: &Ground,
        opened: &Opened,
        statement: &Part,
        carried: &Carried,
    ) -> Result<Option<Targets>, Unfit> {
        let carried = carried.get("statement").map_or(&[][..], Vec::as_slice);
        let Some(made) = first_that_suffice(statement, carried) else {
            return Ok(None);
        };
        let floor = match &ground.model {
            Some(model) => self.floor(model)?,
            None => self.floor(&ground.targets)?,
        };
        let mut next = own_metadata::next(ground.model.clone(), floor, self.proposed_at());
        let stated = &opened.statement;
        let custom = plan::custom(stated.rank, &stated.bundle, stated.requirements.disk_bytes);
        let file = TargetFile::of(&statement.assembled(&made)?, Some(custom));
        next.add_target(&self.target_name(), file);
        Ok(Some(next))
    }

    fn floor(&self, before: &Targets) -> Result<VersionFloor, Unfit> {
        let version = before.header.version;
        Ok(VersionFloor::of(
            self.version_floor,
            &Role::Targets,
            version,
        )?)
    }

    fn proposed_at(&self) -> UnixSeconds {
        UnixSeconds(self.proposed_at_s)
    }
}

/// The first signatures, in the order in which they were made, that are enough and hold.
pub(super) fn first_that_suffice(part: &Part, carried: &[Made]) -> Option<Vec<Made>> {
    let mut chosen: Vec<Made> = Vec::new();
    for made in carried {
        if part.is_complete(&chosen) {
            break;
        }
        let new = chosen.iter().all(|other| other.key != made.key);
        if new && part.may_sign(&made.key) && part.content.holds(made) {
            chosen.push(*made);
        }
    }
    part.is_complete(&chosen).then_some(chosen)
}

/// Manifest and card of a bundle with this digest.
///
/// # Errors
/// [`Unfit::OtherBundle`].
pub(super) fn opened_bundle(
    manifest: &str,
    card: &str,
    bundle: Digest,
) -> Result<(Manifest, Card), Unfit> {
    if Digest::of(manifest.as_bytes()) != bundle {
        return Err(Unfit::OtherBundle("manifest"));
    }
    let parsed =
        Manifest::parse(manifest.as_bytes()).map_err(|_| Unfit::OtherBundle("manifest"))?;
    if parsed.card.digest != Digest::of(card.as_bytes()) {
        return Err(Unfit::OtherBundle("card"));
    }
    let card = Card::parse(card.as_bytes()).map_err(|_| Unfit::OtherBundle("card"))?;
    Ok((parsed, card))
}

fn read_statement(payload: &[u8]) -> Result<Statement, Unfit> {
    cbor::decode(payload).map_err(|_| Unfit::Statement)
}
