//! What waits, comes into place as a whole: also after a crash in between.

use std::fs;

use muster_protocol::tuf::FleetDocument;

use super::*;
use crate::command::init;

struct Sample {
    home: Home,
    _folder: tempfile::TempDir,
}

impl Sample {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let home = init::new_home(&folder.path().join("home")).await;
        Self {
            home,
            _folder: folder,
        }
    }

    /// Everything up to the commit of the metadata, and not one step further.
    async fn crash_before_taking_over(&self, only: Only, why: Why) -> Next {
        let (home, with) = (&self.home, With::default());
        let (base, floor) = held(home).await.expect("a base");
        let mut made = made(home, base, floor, only, &with, why).expect("made");
        let folder = KeyFolder::at(&home.offline());
        let state = signing::sign_own(&mut made.proposal, &folder, WHAT).expect("signed");
        let publication = state.publication(&made.proposal).expect("complete");
        made.write(why).expect("written");
        let controller = Controller::open_with(home, &made.next.home()).expect("opened");
        controller.publish(publication).await.expect("published");
        made.next
    }

    async fn fleet(&self) -> FleetDocument {
        let held = held(&self.home).await.expect("a base");
        FleetDocument::parse(held.0.fleet.as_bytes()).expect("a document")
    }

    /// Whether a controller of this home can sign what devices believe.
    async fn serves(&self) -> bool {
        let controller = Controller::open(&self.home).expect("opened");
        let director = controller.director().key.verifying_key().to_bytes();
        self.fleet().await.director.keys[0].0 == director
            && controller.publish(Publication::default()).await.is_ok()
    }
}

#[tokio::test]
async fn a_crash_after_the_commit_is_made_good_at_the_next_start() {
    for moved in [0, 1, 8, 13] {
        let sample = Sample::new().await;
        let next = sample
            .crash_before_taking_over(Only::All, Why::Planned)
            .await;
        for (now, waiting) in next.pairs().iter().take(moved) {
            let _absent_for_some = fs::rename(waiting, now);
        }
        settle(&sample.home).expect("settled");
        assert!(sample.serves().await, "{moved} moved before the crash");
        assert!(!next.home().folder().exists());
        settle(&sample.home).expect("nothing is left to do");
    }
}

#[tokio::test]
async fn only_what_is_asked_for_becomes_new() {
    for (only, epoch, new_ca) in [
        (Only::All, 2, true),
        (Only::Keys, 2, false),
        (Only::Ca, 1, true),
    ] {
        let sample = Sample::new().await;
        let before = sample.fleet().await;
        sample.crash_before_taking_over(only, Why::Planned).await;
        settle(&sample.home).expect("settled");
        let after = sample.fleet().await;
        assert_eq!(after.director_epoch, epoch, "{only:?}");
        assert_eq!(
            after.ca_certificates != before.ca_certificates,
            new_ca,
            "{only:?}"
        );
        assert!(sample.serves().await, "{only:?}");
    }
}

#[tokio::test]
async fn keys_that_wait_change_nothing_and_are_given_up() {
    let sample = Sample::new().await;
    let (base, floor) = held(&sample.home).await.expect("a base");
    let with = With::default();
    for (why, may_serve) in [(Why::Planned, true), (Why::Stolen, false)] {
        let base = base.clone();
        let made = made(&sample.home, base, floor, Only::All, &with, why).expect("made");
        made.write(why).expect("written");
        assert_eq!(settle(&sample.home).is_ok(), may_serve, "{why:?}");
        assert_eq!(made.next.give_up().is_ok(), may_serve, "{why:?}");
        assert!(sample.serves().await);
    }
}
