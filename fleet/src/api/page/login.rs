//! Signing in with the token of the API, and out again.
//!
//! The token comes in one form and is kept nowhere; it is never part of a URL.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use serde::Deserialize;

use super::super::parse::Octets;
use super::view::LoginPage;
use super::{MaybeSignedIn, Pages, SignedIn, page, problem};
use crate::clock;

const WRONG: &str = "This is not the token.";
const TOO_MANY: &str = "Too many tries at once. Wait a second, then try again.";

/// What the form sends.
#[derive(Deserialize)]
struct Form {
    token: String,
}

/// The form, for who has no session.
pub(super) async fn form(session: MaybeSignedIn) -> Response {
    match session {
        Ok(_) => Redirect::to("/").into_response(),
        Err(_) => page(StatusCode::OK, &LoginPage { why: None }),
    }
}

/// Opens a session for who knows the token.
pub(super) async fn sign_in(
    State(pages): State<Arc<Pages>>,
    headers: HeaderMap,
    Octets(body): Octets,
) -> Response {
    if let Err(error) = pages.guard.judge_form(&headers) {
        return problem(error);
    }
    let now = clock::now();
    if !pages.tries.may_try(now) {
        let again = page(
            StatusCode::TOO_MANY_REQUESTS,
            &LoginPage {
                why: Some(TOO_MANY),
            },
        );
        return ([(header::RETRY_AFTER, "1")], again).into_response();
    }
    if !token_of(&body).is_some_and(|token| pages.guard.is_token(&token)) {
        tracing::warn!("a sign-in with a wrong token");
        return page(StatusCode::UNAUTHORIZED, &LoginPage { why: Some(WRONG) });
    }
    match pages.sessions.open(now) {
        Ok(session) => {
            let cookie = pages.sessions.cookie(&session);
            ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response()
        }
        Err(error) => {
            tracing::error!("failed to open a session: because {error}");
            problem(super::ApiError::Internal)
        }
    }
}

/// Ends the session.
pub(super) async fn sign_out(
    State(pages): State<Arc<Pages>>,
    headers: HeaderMap,
    session: MaybeSignedIn,
) -> Response {
    if let Err(error) = pages.guard.judge_form(&headers) {
        return problem(error);
    }
    if let Ok(SignedIn(session)) = session {
        pages.sessions.close(&session);
    }
    let cookie = pages.sessions.no_cookie();
    ([(header::SET_COOKIE, cookie)], Redirect::to("/login")).into_response()
}

/// A form is written as the query of a URL is.
fn token_of(body: &[u8]) -> Option<String> {
    let body = std::str::from_utf8(body).ok()?;
    let uri: Uri = format!("/?{body}").parse().ok()?;
    let Query(form) = Query::<Form>::try_from_uri(&uri).ok()?;
    Some(form.token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_read_out_of_the_form() {
        let check = |body: &[u8], expect: Option<&str>| {
            assert_eq!(token_of(body).as_deref(), expect);
        };
        check(b"token=abc", Some("abc"));
        check(b"token=a%20b%2B+c", Some("a b+ c"));
        check(b"token=", Some(""));
        check(b"other=abc", None);
        check(b"token=a&token=b", None);
        check(b"", None);
        check(b"token=\xff", None);
        check(b"token=a\r\nb", None);
    }
}
