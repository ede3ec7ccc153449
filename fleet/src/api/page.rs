//! The page that people look at: devices, models, drift and incidents, live, behind a login.
//!
//! Rendered here, complete without a script. A session opens what is in this module and nothing
//! of the API; nothing here changes anything.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use tokio::sync::Semaphore;

mod drawing;
mod drift;
mod live;
mod login;
mod lookout;
mod mark;
mod quality;
mod session;
#[cfg(test)]
mod tests;
mod text;
mod tries;
mod view;

use super::error::ApiError;
use super::guard::Guard;
use super::parse::BodyBytesMax;
use crate::clock;
use crate::controller::{Controller, WhichDevices};
use lookout::Lookout;
use session::{SessionId, Sessions};
use tries::Tries;
use view::{OverviewPage, ProblemPage};

/// Largest form: a token.
const FORM_BYTES_MAX: usize = 4096;
/// Longest query for devices, in characters.
const QUERY_CHARS_MAX: usize = 1024;
/// Pages that are live at a time, well below the connections of the API.
const VIEWERS_MAX: usize = 32;

/// Nothing but what comes from here: no inline script or style, no frame, no other origin.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
     img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; \
     frame-ancestors 'none'";
/// `same-origin`, not `no-referrer`: with the latter browsers send forms with `Origin: null`.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

/// What all pages stand on.
pub(super) struct Pages {
    guard: Guard,
    lookout: Lookout,
    sessions: Sessions,
    tries: Tries,
    viewers: Arc<Semaphore>,
}

impl Pages {
    pub(super) fn new(controller: Arc<Controller>, guard: Guard) -> Self {
        Self {
            guard,
            lookout: Lookout::new(controller),
            sessions: Sessions::new(guard.port),
            tries: Tries::default(),
            viewers: Arc::new(Semaphore::new(VIEWERS_MAX)),
        }
    }
}

/// Every path that is not the API's.
pub(super) fn router(pages: Arc<Pages>) -> Router {
    let css = (
        include_str!("../../templates/page.css"),
        "text/css; charset=utf-8",
    );
    let js = (
        include_str!("../../templates/page.js"),
        "text/javascript; charset=utf-8",
    );
    let icon = (include_str!("../../templates/icon.svg"), "image/svg+xml");
    Router::new()
        .route("/", get(overview))
        .route("/events", get(live::events))
        .route("/login", get(login::form).post(login::sign_in))
        .route("/logout", post(login::sign_out))
        .route("/assets/page.css", get(move || asset(css)))
        .route("/assets/page.js", get(move || asset(js)))
        .route("/assets/icon.svg", get(move || asset(icon)))
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        .layer(Extension(BodyBytesMax(FORM_BYTES_MAX)))
        .layer(middleware::from_fn_with_state(Arc::clone(&pages), check))
        .with_state(pages)
}

/// Lets a request pass that was meant for us, and gives every answer its headers.
async fn check(State(pages): State<Arc<Pages>>, request: Request, next: Next) -> Response {
    let mut response = match pages.guard.judge_place(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => problem(error),
    };
    for (name, value) in HEADERS {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn overview(
    State(pages): State<Arc<Pages>>,
    _: SignedIn,
    Which(which): Which,
    Host(host): Host,
) -> Response {
    let now = clock::now();
    let looked = async {
        let sight = pages.lookout.sight(now).await?;
        pages.lookout.look(&which, sight, now).await
    };
    match looked.await {
        Ok(look) => page(StatusCode::OK, &OverviewPage::new(&look, now, host)),
        Err(error) => problem(error),
    }
}

async fn asset((text, kind): (&'static str, &'static str)) -> Response {
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

async fn nothing_here(_: SignedIn) -> Response {
    problem(ApiError::NotFound {
        what: "this page".to_owned(),
    })
}

async fn wrong_method() -> Response {
    problem(ApiError::Method)
}

/// A rendered page.
fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => {
            tracing::error!("failed to render a page: because {error}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// An error as a page.
fn problem(error: ApiError) -> Response {
    let detail = error.to_string();
    page(error.into_response().status(), &ProblemPage { detail })
}

/// The session of a request; without one, the way to the login.
struct SignedIn(SessionId);

/// For handlers that answer those without a session themselves.
type MaybeSignedIn = Result<SignedIn, Redirect>;

impl FromRequestParts<Arc<Pages>> for SignedIn {
    type Rejection = Redirect;

    async fn from_request_parts(parts: &mut Parts, pages: &Arc<Pages>) -> Result<Self, Redirect> {
        let session = pages.sessions.of(&parts.headers, clock::now());
        session.map(Self).ok_or_else(|| Redirect::to("/login"))
    }
}

/// Which devices the URL asks for.
struct Which(WhichDevices);

impl<S: Send + Sync> FromRequestParts<S> for Which {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        type Pairs = Result<Query<BTreeMap<String, String>>, QueryRejection>;
        let pairs: Pairs = Query::from_request_parts(parts, state).await;
        // What is not understood asks for nothing.
        let Query(mut pairs) = pairs.unwrap_or_default();
        let mut take = |name: &str| {
            let text: String = pairs.remove(name)?.chars().take(QUERY_CHARS_MAX).collect();
            Some(text).filter(|text| !text.is_empty())
        };
        Ok(Self(WhichDevices {
            query: take("q").unwrap_or_default(),
            after: take("after"),
            before: take("before"),
        }))
    }
}

/// The host that was asked: the guard has seen that it is one of ours.
struct Host(String);

impl<S: Send + Sync> FromRequestParts<S> for Host {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let host = parts.headers.get(header::HOST);
        let host = host.and_then(|host| host.to_str().ok());
        Ok(Self(host.unwrap_or_default().to_owned()))
    }
}
