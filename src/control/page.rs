//! What the HTTP port shows to people and to load balancers: the page, which only reads, and `/maintenance`.

use super::operator::Operator;
use crate::freeze::Phase;
use axum::{
    Json, Router,
    extract::{Query, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// The page loads nothing from elsewhere and runs nothing but its own script.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// While nobody said when it will be over, clients are told to come again after so many seconds.
const RETRY_AFTER_S: i64 = 60;

pub(super) fn routes() -> Router<Arc<Operator>> {
    let file = |kind: &'static str, text: &'static str| get(async move || shown(kind, text));
    Router::new()
        .route("/", file("text/html; charset=utf-8", include_str!("page/index.html")))
        .route("/page.css", file("text/css; charset=utf-8", include_str!("page/page.css")))
        .route("/page.js", file("text/javascript; charset=utf-8", include_str!("page/page.js")))
        .route("/maintenance", get(maintenance))
}

fn shown(kind: &'static str, text: &'static str) -> Response {
    let headers: [(HeaderName, HeaderValue); 4] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, text).into_response()
}

/// What `/maintenance` is asked.
#[derive(Debug, Deserialize)]
struct Asked {
    /// The status to answer with while the gate is shut, where 503 is not understood.
    status: Option<u16>,
}

/// 204 while open, else 503 with the operator's words: for nginx's `auth_request`, or as a load balancer's check.
async fn maintenance(State(operator): State<Arc<Operator>>, Query(asked): Query<Asked>) -> Response {
    let state = operator.switch.state();
    let phase = operator.switch.gate().phase();
    let Some(freeze) = state.freeze.as_ref().filter(|_| phase != Phase::Open) else {
        return StatusCode::NO_CONTENT.into_response();
    };
    let told = json!({
        "state": phase.as_str(), "reason": freeze.reason, "since": freeze.since, "until": freeze.until,
    });
    let wait = retry_after(freeze.until, operator.now());
    let status = asked.status.and_then(|status| StatusCode::from_u16(status).ok());
    let status = status.filter(|status| status.is_client_error() || status.is_server_error());
    (status.unwrap_or(StatusCode::SERVICE_UNAVAILABLE), [(header::RETRY_AFTER, wait.to_string())], Json(told))
        .into_response()
}

/// Seconds until it should be over; of one that is overdue nobody knows.
fn retry_after(until: Option<Timestamp>, now: Timestamp) -> i64 {
    let left = until.map(|until| until.as_second().saturating_sub(now.as_second()));
    left.filter(|left| *left > 0).unwrap_or(RETRY_AFTER_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_told_to_come_again_when_it_should_be_over() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(retry_after(Some(at(150)), at(100)), 50);
        assert_eq!(retry_after(Some(at(90)), at(100)), RETRY_AFTER_S);
        assert_eq!(retry_after(None, at(100)), RETRY_AFTER_S);
    }
}
