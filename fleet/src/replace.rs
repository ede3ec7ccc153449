//! A stolen controller is replaced: new online keys, a new CA and the next epoch, by the word of
//! the offline keys, so that every device follows and the thief's word counts for nothing.
//!
//! Works on a home that nobody serves yet, before it is put into place; keeps no offline key.

use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use muster_protocol::time::UnixSeconds;
use muster_protocol::tuf::author::key_of;
use muster_protocol::tuf::fleet_document::PATH;
use muster_protocol::tuf::{
    self, Envelope, FleetDocument, Role, Root, TargetFile, Targets, author,
};

use crate::authority::{self, Founded};
use crate::config::Config;
use crate::controller::{Controller, Keys};
use crate::endpoint::{HttpsUrl, MqttUrl};
use crate::error::{Exit, OperatorError};
use crate::home::{self, Home};
use crate::key_file;
use crate::own_metadata::{self, ROOT_DAYS, VersionFloor};
use crate::publish::Publication;

const WHAT: &str = "replace the keys of a stolen controller";

/// What the operator is told afterwards.
pub(crate) const ADVICE: &str = "\
- Stolen: this home has new keys for snapshot, timestamp, assignments, acknowledgements and time, a
  new CA, a new API token, and a new offline/ca-root.key. Copy offline/ away again. Devices follow
  once they reach this controller: let its address lead here, or carry fleet.json to them. Whatever
  the thief signs is of an older epoch from then on.
- External brokers: run `muster broker mosquitto` again, and take the new files there.";

/// What the ceremony is given beside the backup.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct NewKeys {
    /// The folder with root.key, targets.key and ca-root.key [default: those of the backup].
    #[arg(long, value_name = "FOLDER", requires = "stolen")]
    offline: Option<PathBuf>,
    /// The broker that devices connect to from now on.
    #[arg(long, value_name = "mqtts://HOST:PORT", requires = "stolen")]
    mqtt: Option<MqttUrl>,
    /// Where devices renew their certificates from now on.
    #[arg(long, value_name = "https://HOST:PORT", requires = "stolen")]
    enroll: Option<HttpsUrl>,
}

/// The offline keys, as they were carried here.
struct Offline {
    root: SigningKey,
    targets: SigningKey,
    ca_root_key_pem: String,
}

/// Does it.
///
/// # Errors
/// An offline key is missing or not enough, or a device would refuse what came out.
pub(crate) async fn keys(
    home: &Home,
    args: &NewKeys,
    now: UnixSeconds,
) -> Result<(), OperatorError> {
    let offline = Offline::read(&args.offline.clone().unwrap_or_else(|| home.offline()))?;
    let before = Before::read(home).await?;
    let old_root = home::read_text(&home.ca_root_pem())?;
    let hosts = Config::read(home)?.host_names;
    let founded =
        authority::succeed(&hosts, &old_root, &offline.ca_root_key_pem, now).map_err(|error| {
            refused(
                &error,
                "bring the ca-root.key that belongs to controller/ca-root.pem",
            )
        })?;
    let online = Keys::generate()?;
    let fleet = before.next_fleet(args, &online, &founded, now);
    let publication = before.publication(&offline, &online, &fleet, now)?;
    write(home, &online, &founded)?;
    let published = Controller::open(home)?.publish(publication).await;
    published.map(drop).map_err(|error| {
        let hint = "bring the offline keys that sign for root and targets now; where several \
                    people must sign, this cannot be done in one step yet";
        refused(&error, hint)
    })
}

impl Offline {
    fn read(folder: &Path) -> Result<Self, OperatorError> {
        Ok(Self {
            root: key_file::read(&folder.join("root.key"))?,
            targets: key_file::read(&folder.join("targets.key"))?,
            ca_root_key_pem: home::read_secret(&folder.join("ca-root.key"))?,
        })
    }
}

/// What the restored controller knows.
struct Before {
    root: Root,
    targets: Targets,
    fleet: FleetDocument,
    version_floor: VersionFloor,
}

impl Before {
    async fn read(home: &Home) -> Result<Self, OperatorError> {
        let controller = Controller::open(home)?;
        let newest = async |name: &str| {
            let found = controller.metadata(name, None).await?;
            found.ok_or_else(|| {
                refused(
                    &format!("the backup holds no {name}"),
                    "take another backup",
                )
            })
        };
        let malformed = |error: &dyn std::fmt::Display| refused(error, "take another backup");
        let (root, targets) = (newest("root").await?, newest("targets").await?);
        let fleet =
            FleetDocument::parse(&newest(PATH).await?).map_err(|error| malformed(&error))?;
        let root: Root = author::read_unverified(&Role::Root, &root).map_err(|e| malformed(&e))?;
        let targets: Targets =
            author::read_unverified(&Role::Targets, &targets).map_err(|e| malformed(&e))?;
        let asked = controller.store().read(|tx| tx.version_floor()).await;
        let asked = asked.map_err(crate::controller::Error::Store)?;
        let highest = targets.header.version.max(fleet.version);
        let version_floor = VersionFloor::of(asked, &Role::Targets, highest)
            .map_err(|error| refused(&error, "take another backup"))?;
        Ok(Self {
            root,
            targets,
            fleet,
            version_floor,
        })
    }

    /// Of the next epoch, with the new keys, CA and addresses; floors and revocations stay.
    fn next_fleet(
        &self,
        args: &NewKeys,
        online: &Keys,
        founded: &Founded,
        now: UnixSeconds,
    ) -> FleetDocument {
        let public = |key: &SigningKey| vec![tuf::Hex(key.verifying_key().to_bytes())];
        let mut next = self.fleet.clone();
        next.version = self.version_floor.after(self.fleet.version);
        next.issued_at_s = now.0.max(self.fleet.issued_at_s);
        next.director_epoch = self.fleet.director_epoch.saturating_add(1);
        next.director.keys = public(&online.director);
        next.ack_keys = public(&online.ack);
        next.time_keys = public(&online.time);
        next.ca_certificates = vec![founded.root_pem.clone()];
        if let Some(url) = &args.mqtt {
            next.endpoints.mqtt = url.to_string();
        }
        if let Some(url) = &args.enroll {
            next.endpoints.enroll = url.to_string();
        }
        next
    }

    fn publication(
        &self,
        offline: &Offline,
        online: &Keys,
        fleet: &FleetDocument,
        now: UnixSeconds,
    ) -> Result<Publication, OperatorError> {
        let failed = |error: &dyn std::fmt::Display| refused(error, "report it");
        let mut root = self.root.clone();
        root.header.version = root.header.version.saturating_add(1);
        root.header.expires_s = now.plus_days(ROOT_DAYS).0;
        root.authorize(&Role::Snapshot, &[key_of(&online.snapshot)], 1);
        root.authorize(&Role::Timestamp, &[key_of(&online.timestamp)], 1);
        let bytes = fleet.encode().map_err(|error| failed(&error))?;
        let mut targets = own_metadata::next(Some(self.targets.clone()), self.version_floor, now);
        targets.add_target(PATH, TargetFile::of(&bytes, None));
        let root = Envelope::signed_bytes(&root, &[&offline.root]);
        let targets = Envelope::signed_bytes(&targets, &[&offline.targets]);
        Ok(Publication {
            root: Some(root.map_err(|error| failed(&error))?),
            targets: Some(targets.map_err(|error| failed(&error))?),
            delegated: Vec::new(),
            target_files: vec![(PATH.to_owned(), bytes)],
        })
    }
}

/// The old intermediate still anchors devices that have not renewed: the controller admits each by
/// its serial alone.
fn write(home: &Home, online: &Keys, founded: &Founded) -> Result<(), OperatorError> {
    for (path, key) in online.files(home) {
        key_file::replace(&path, key)?;
    }
    let anchors = founded.anchors() + &home::read_text(&home.client_ca_pem())?;
    for (path, text) in founded.files(home, &anchors) {
        home::replace_private(&path, text.as_bytes())?;
    }
    home::replace_private(&home.api_token(), key_file::new_token()?.as_bytes())
}

fn refused(because: &dyn std::fmt::Display, hint: &str) -> OperatorError {
    OperatorError::new(Exit::Refused, WHAT, because, hint)
}
