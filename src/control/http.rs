//! How the verbs are reached: HTTP on the control socket, which may change the state, and on the HTTP port,
//! which only tells.

use super::{
    command::{ExceptCall, FreezeCall, ReopenCall, ThawCall, UnexceptCall, VerifyCall},
    connections::Bounded,
    error::ControlError,
    operator::Operator,
    page,
};
use crate::causes::with_causes;
use axum::{
    Json, Router,
    extract::{Query, State},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio::net::{TcpListener, UnixListener};

/// The longest that one request waits for a change.
const WAIT_LIMIT_MS: u64 = 30_000;

type Shared = State<Arc<Operator>>;

/// What the HTTP port serves.
pub fn public_routes(operator: Arc<Operator>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(async || "ok\n"))
        .route("/v1/status", get(status))
        .route("/v1/refused", get(refused))
        .route("/v1/sessions", get(sessions))
        .route("/v1/exceptions", get(exceptions))
        .route("/v1/windows", get(windows))
        .merge(page::routes())
        .with_state(operator)
}

/// What the control socket serves.
pub fn control_routes(operator: Arc<Operator>) -> Router {
    let verbs = Router::new()
        .route("/v1/freeze", post(freeze))
        .route("/v1/thaw", post(thaw))
        .route("/v1/verify", post(verify))
        .route("/v1/writers", get(writers))
        .route("/v1/except", post(except))
        .route("/v1/reopen", post(reopen).get(reopening))
        .route("/v1/smoke", post(smoke))
        .route("/v1/preflight", post(preflight))
        .route("/v1/window", get(window))
        .route("/v1/history", get(history))
        .route("/v1/report", get(report))
        .route("/v1/unexcept", post(unexcept))
        .with_state(Arc::clone(&operator));
    public_routes(operator).merge(verbs)
}

/// Serves on a TCP port until the process ends.
///
/// # Errors
/// The listener failed.
pub async fn serve_tcp(listener: TcpListener, routes: Router) -> Result<(), ControlError> {
    let served = axum::serve(Bounded::new(listener), routes).await;
    served.map_err(|source| ControlError::Serve { what: "the HTTP port".into(), source })
}

/// Serves on a Unix socket until the process ends.
///
/// # Errors
/// The listener failed.
pub async fn serve_unix(listener: UnixListener, routes: Router) -> Result<(), ControlError> {
    let served = axum::serve(Bounded::new(listener), routes).await;
    served.map_err(|source| ControlError::Serve { what: "the control socket".into(), source })
}

async fn metrics(State(operator): Shared) -> Response {
    match operator.metrics() {
        Ok(page) => ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page).into_response(),
        Err(problem) => (StatusCode::INTERNAL_SERVER_ERROR, problem).into_response(),
    }
}

/// With `seen`, the answer waits until the revision is another one, up to `wait_ms`.
#[derive(Debug, Deserialize)]
struct Watching {
    seen: Option<u64>,
    #[serde(default)]
    wait_ms: u64,
}

async fn status(State(operator): Shared, Query(watching): Query<Watching>) -> Response {
    let limit = Duration::from_millis(watching.wait_ms.min(WAIT_LIMIT_MS));
    Json(operator.status_after(watching.seen, limit).await).into_response()
}

async fn freeze(State(operator): Shared, Json(call): Json<FreezeCall>) -> Response {
    answer(operator.freeze(call).await)
}

async fn thaw(State(operator): Shared, Json(call): Json<ThawCall>) -> Response {
    answer(operator.thaw(call).await)
}

async fn verify(State(operator): Shared, Json(call): Json<VerifyCall>) -> Response {
    answer(operator.verify(Duration::from_millis(call.for_ms)).await)
}

async fn refused(State(operator): Shared) -> Response {
    Json(operator.refused()).into_response()
}

async fn sessions(State(operator): Shared) -> Response {
    Json(operator.sessions()).into_response()
}

async fn windows(State(operator): Shared) -> Response {
    Json(operator.windows()).into_response()
}

async fn exceptions(State(operator): Shared) -> Response {
    Json(operator.exceptions()).into_response()
}

async fn except(State(operator): Shared, Json(call): Json<ExceptCall>) -> Response {
    answer(operator.except(call).await)
}

async fn unexcept(State(operator): Shared, Json(call): Json<UnexceptCall>) -> Response {
    answer(operator.unexcept(call).await)
}

async fn reopen(State(operator): Shared, Json(call): Json<ReopenCall>) -> Response {
    answer(operator.reopen(call).await)
}

async fn reopening(State(operator): Shared) -> Response {
    Json(operator.reopening()).into_response()
}

async fn smoke(State(operator): Shared) -> Response {
    answer(operator.smoke().await)
}

async fn preflight(State(operator): Shared) -> Response {
    answer(operator.preflight().await)
}

async fn window(State(operator): Shared) -> Response {
    Json(operator.window_plan()).into_response()
}

async fn history(State(operator): Shared) -> Response {
    Json(operator.history()).into_response()
}

/// Which window; none: the newest.
#[derive(Debug, Deserialize)]
struct Which {
    number: Option<u64>,
}

async fn report(State(operator): Shared, Query(Which { number }): Query<Which>) -> Response {
    if let Some(report) = operator.report_of(number) {
        return Json(report).into_response();
    }
    let text = number.map_or_else(|| "no window has been yet".into(), |n| format!("there is no window {n}"));
    (StatusCode::NOT_FOUND, Json(json!({ "error": text, "exit": 1 }))).into_response()
}

/// Whose last write is not older.
#[derive(Debug, Deserialize)]
struct Since {
    since: Option<Timestamp>,
}

async fn writers(State(operator): Shared, Query(Since { since }): Query<Since>) -> Response {
    Json(operator.writers(since)).into_response()
}

fn answer<T: serde::Serialize>(done: Result<T, ControlError>) -> Response {
    match done {
        Ok(reply) => Json(reply).into_response(),
        Err(error) => {
            let code = match error.exit_code() {
                2 => StatusCode::BAD_REQUEST,
                4 => StatusCode::CONFLICT,
                5 => StatusCode::BAD_GATEWAY,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            };
            let text = with_causes(&error);
            (code, Json(json!({ "error": text, "exit": error.exit_code() }))).into_response()
        }
    }
}
