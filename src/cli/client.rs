//! The way to a running proxy: HTTP on its control socket.

use super::{
    args::Reach,
    error::{CliError, Exit},
};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Method, Request, body::Bytes, client::conn::http1::handshake};
use hyper_util::rt::TokioIo;
use jiff::Zoned;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::path::{Path, PathBuf};
use tokio::net::UnixStream;

/// The longest answer that is read.
const ANSWER_LIMIT: usize = 64 * 1024 * 1024;

/// Where and who the caller is; `main` finds that out.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The control socket to use if none is named.
    pub default_control: PathBuf,
    /// Who runs this.
    pub name: String,
    /// The time, with its zone: for `--until 02:30`.
    pub now: Zoned,
}

impl Caller {
    pub(super) fn client(&self, reach: &Reach) -> Client {
        Client::new(reach.control.as_deref().unwrap_or(&self.default_control))
    }
}

/// A proxy, by its control socket.
#[derive(Debug, Clone)]
pub(super) struct Client {
    path: PathBuf,
}

impl Client {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.into() }
    }

    /// Asks.
    pub(super) async fn get<T: DeserializeOwned>(&self, uri: &str) -> Result<T, CliError> {
        read(&self.exchange(Method::GET, uri, Bytes::new()).await?)
    }

    /// Orders.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        uri: &str,
        call: &impl Serialize,
    ) -> Result<T, CliError> {
        let body = serde_json::to_vec(call).map_err(|error| answer(&error))?;
        read(&self.exchange(Method::POST, uri, body.into()).await?)
    }

    async fn exchange(&self, method: Method, uri: &str, body: Bytes) -> Result<Bytes, CliError> {
        let unreachable = |source| CliError::Unreachable { path: self.path.clone(), source };
        let stream = UnixStream::connect(&self.path).await.map_err(unreachable)?;
        let (mut sender, connection) =
            handshake(TokioIo::new(stream)).await.map_err(|error| answer(&error))?;
        // It ends with this exchange: the proxy closes what is not used any more.
        drop(tokio::spawn(connection));
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header("host", "frostgate")
            .header("content-type", "application/json")
            .body(Full::new(body))
            .map_err(|error| answer(&error))?;
        let response = sender.send_request(request).await.map_err(|error| answer(&error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_LIMIT).collect().await;
        let body = body.map_err(|error| CliError::Answer { problem: error.to_string() })?.to_bytes();
        if status.is_success() { Ok(body) } else { Err(refused(&body, status.as_u16())) }
    }
}

fn refused(body: &Bytes, status: u16) -> CliError {
    let said: Option<Value> = serde_json::from_slice(body).ok();
    let field = |name| said.as_ref().and_then(|said| said.get(name));
    if let (Some(text), Some(exit)) =
        (field("error").and_then(Value::as_str), field("exit").and_then(Value::as_u64))
    {
        CliError::Refused { text: text.into(), exit: Exit::from_code(exit) }
    } else {
        let text = String::from_utf8_lossy(body);
        CliError::Answer { problem: format!("status {status}: {}", text.trim()) }
    }
}

fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, CliError> {
    serde_json::from_slice(body).map_err(|error| answer(&error))
}

fn answer(error: &dyn std::error::Error) -> CliError {
    CliError::Answer { problem: error.to_string() }
}
