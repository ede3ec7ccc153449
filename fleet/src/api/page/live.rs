//! What keeps an open page current: a stream of events that carries the page's content anew when
//! it has changed, at most once a second.
//!
//! Sends nothing that did not change, and ends with its session, with the listener, or with the
//! time that a long answer has; the browser then asks again.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use askama::Template as _;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use muster_protocol::time::UnixSeconds;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::super::error::Answer;
use super::super::listener::{LongAnswer, Stopping};
use super::lookout::{Look, Sight};
use super::session::SessionId;
use super::view::OverviewPage;
use super::{Host, MaybeSignedIn, Pages, SignedIn, VIEWERS_MAX, Which};
use crate::clock;
use crate::controller::WhichDevices;

/// How often it is looked whether something has changed.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Looks without a change after which the page hears that there is none.
const QUIET_LOOKS_MAX: u32 = 5;
/// When a browser asks again after a stream has ended.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// When it asks again, when there is no place.
const ASK_FOR_PLACE_AGAIN: Duration = Duration::from_secs(15);

/// The stream of one open page.
pub(super) async fn events(
    State(pages): State<Arc<Pages>>,
    session: MaybeSignedIn,
    stopping: Option<Extension<Stopping>>,
    Which(which): Which,
    Host(host): Host,
) -> Response {
    let Ok(SignedIn(session)) = session else {
        return (StatusCode::UNAUTHORIZED, "sign in first").into_response();
    };
    let Ok(place) = Arc::clone(&pages.viewers).try_acquire_owned() else {
        return no_place();
    };
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let viewer = Viewer {
        pages,
        session,
        which,
        host,
        stopping: stopping.map(|Extension(stopping)| stopping),
        looks,
        seen: None,
        quiet_looks: 0,
        _place: place,
    };
    let events = stream::unfold(viewer, |mut viewer| async move {
        let event = viewer.next().await?;
        Some((Ok::<_, Infallible>(event), viewer))
    });
    (Extension(LongAnswer), Sse::new(events)).into_response()
}

fn no_place() -> Response {
    let words = format!("not live: {VIEWERS_MAX} pages are being watched, the most there may be");
    let event = Event::default()
        .event("full")
        .data(words)
        .retry(ASK_FOR_PLACE_AGAIN);
    Sse::new(stream::iter([Ok::<_, Infallible>(event)])).into_response()
}

struct Viewer {
    pages: Arc<Pages>,
    session: SessionId,
    which: WhichDevices,
    host: String,
    stopping: Option<Stopping>,
    looks: Interval,
    seen: Option<(Sight, Look)>,
    quiet_looks: u32,
    _place: OwnedSemaphorePermit,
}

impl Viewer {
    /// Waits for the next event; none at the end.
    async fn next(&mut self) -> Option<Event> {
        loop {
            self.rest().await?;
            let now = clock::now();
            if !self.pages.sessions.is_open(&self.session, now) {
                return None;
            }
            match self.look(now).await {
                Ok(Some(event)) => return Some(event.retry(ASK_AGAIN)),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!("failed to keep a page current: because {error}");
                    return None;
                }
            }
        }
    }

    /// Until the next look; none when there is none to come.
    async fn rest(&mut self) -> Option<()> {
        let stop = async {
            match &mut self.stopping {
                Some(stopping) => stopping.wait().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop => None,
            _ = self.looks.tick() => Some(()),
        }
    }

    async fn look(&mut self, now: UnixSeconds) -> Answer<Option<Event>> {
        let lookout = &self.pages.lookout;
        let sight = lookout.sight(now).await?;
        if self
            .seen
            .as_ref()
            .is_some_and(|(before, _)| *before == sight)
        {
            return Ok(self.nothing_new(now));
        }
        let look = lookout.look(&self.which, sight, now).await?;
        let is_same = self
            .seen
            .as_ref()
            .is_some_and(|(_, before)| *before == look);
        let fragment = (!is_same).then(|| OverviewPage::new(&look, now, self.host.clone()));
        self.seen = Some((sight, look));
        let Some(page) = fragment else {
            return Ok(self.nothing_new(now));
        };
        self.quiet_looks = 0;
        let html = page.as_live().render().map_err(|error| {
            tracing::error!("failed to render a page: because {error}");
            super::ApiError::Internal
        })?;
        Ok(Some(Event::default().event("fragment").data(html)))
    }

    /// Now and then the page hears that it is current, so that it can tell silence from calm.
    fn nothing_new(&mut self, now: UnixSeconds) -> Option<Event> {
        self.quiet_looks += 1;
        if self.quiet_looks < QUIET_LOOKS_MAX {
            return None;
        }
        self.quiet_looks = 0;
        Some(Event::default().event("same").data(now.0.to_string()))
    }
}
