//! The proxy: this same program, as `serve`, and its verbs as an operator types them.

use super::{
    error::DemoError,
    folder::Folder,
    programs::{self, SOON},
    server::{OBSERVER, SOCKET_PORT, end},
    stage::Stage,
};
use crate::{cli::Exit, control::Status};
use rustix::process::Signal;
use serde_json::Value;
use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{
    process::{Child, Command},
    time::{sleep, timeout},
};

/// How often it is looked whether it has started.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A running proxy.
#[derive(Debug)]
pub(super) struct Proxy {
    child: Child,
    program: PathBuf,
    control: PathBuf,
    maintenance: PathBuf,
    audit: PathBuf,
    addresses: Addresses,
}

/// Where it is found; known once it has started.
#[derive(Debug, Default, Clone)]
pub(super) struct Addresses {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) http: String,
}

/// What a verb said, and with which code it ended.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) code: Option<i32>,
}

impl Proxy {
    /// Starts it in front of that server; it answers a little later.
    pub(super) fn start(folder: &Folder, upstream: &str, monitor: &str) -> Result<Self, DemoError> {
        let program = env::current_exe()
            .map_err(|source| DemoError::Start { program: "this program again".into(), source })?;
        let (state, maintenance) = (folder.private("state", None)?, folder.private("maintenance", None)?);
        let (audit, control) = (folder.join("audit.jsonl"), state.join("control.sock"));
        let mut serve = programs::command(&program);
        serve.args(["serve", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--upstream", upstream]);
        serve.arg("--state-dir").arg(&state).arg("--control").arg(&control);
        serve.arg("--maintenance-listen").arg(maintenance.join(format!(".s.PGSQL.{SOCKET_PORT}")));
        // A password has no place among arguments, which everybody on the machine can read.
        serve.env("FROSTGATE_MONITOR", monitor).args(["--expect", &format!("application={OBSERVER}")]);
        let child = programs::stay(serve, &audit, &log_of(folder))?;
        Ok(Self { child, program, control, maintenance, audit, addresses: Addresses::default() })
    }

    /// Waits until it serves, and learns where.
    pub(super) async fn wait(&mut self) -> Result<(), DemoError> {
        let serving = async {
            loop {
                if let Some(addresses) = started(&fs::read_to_string(&self.audit).unwrap_or_default()) {
                    return addresses;
                }
                sleep(LOOK_AGAIN).await;
            }
        };
        let serving = timeout(SOON, serving).await;
        let what = || "the demo's proxy to serve".to_owned();
        self.addresses = serving.map_err(|_elapsed| DemoError::TooLate { what: what(), limit: SOON })?;
        Ok(())
    }

    pub(super) fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The folder of the maintenance listener's socket.
    pub(super) fn maintenance(&self) -> &Path {
        &self.maintenance
    }

    /// The control socket.
    pub(super) fn control(&self) -> &Path {
        &self.control
    }

    /// The process, for who wants to stop it by hand.
    pub(super) fn process_id(&self) -> Option<u32> {
        self.child.id()
    }

    fn verb(&self, args: &[&str]) -> Command {
        let mut command = programs::command(&self.program);
        command.args(args).env("FROSTGATE_CONTROL", &self.control);
        command
    }

    /// A verb, shown as it is typed, with what it says.
    pub(super) async fn typed(&self, stage: &Stage, args: &[&str]) -> Result<Answer, DemoError> {
        stage.command(&shown(args))?;
        let answer = self.ask(args).await?;
        stage.tell(&answer.text)?;
        Ok(answer)
    }

    /// A verb, not shown.
    pub(super) async fn ask(&self, args: &[&str]) -> Result<Answer, DemoError> {
        let output = programs::finish(self.verb(args), SOON).await?;
        Ok(Answer { text: programs::said(&output), code: output.status.code() })
    }

    /// A verb's answer as JSON, not shown.
    async fn json(&self, verb: &str) -> Result<String, DemoError> {
        let answer = self.ask(&[verb, "--json"]).await?;
        if answer.code == Some(i32::from(Exit::Done.code())) {
            Ok(answer.text)
        } else {
            Err(DemoError::Failed { program: format!("frostgate {verb}"), said: answer.text })
        }
    }

    /// Where the proxy stands.
    pub(super) async fn status(&self) -> Result<Status, DemoError> {
        read("status", &self.json("status").await?)
    }

    /// How often that application was refused, by the proxy's own book.
    pub(super) async fn refused(&self, application: &str) -> Result<u64, DemoError> {
        let book: Value = read("refused", &self.json("refused").await?)?;
        let entries = book.get("refused").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let theirs =
            entries.iter().filter(|e| e.get("application").and_then(Value::as_str) == Some(application));
        Ok(theirs.filter_map(|entry| entry.get("count").and_then(Value::as_u64)).sum())
    }

    /// Stops it as an operator would.
    pub(super) async fn stop(mut self) {
        end(&mut self.child, Signal::TERM).await;
    }
}

/// The proxy's log.
pub(super) fn log_of(folder: &Folder) -> PathBuf {
    folder.join("frostgate.log")
}

/// A command line as it is typed in a shell.
pub(super) fn shown(args: &[&str]) -> String {
    let quote = |arg: &&str| if arg.contains(' ') { format!("\"{arg}\"") } else { (*arg).to_owned() };
    format!("frostgate {}", args.iter().map(quote).collect::<Vec<_>>().join(" "))
}

fn read<T: serde::de::DeserializeOwned>(verb: &str, text: &str) -> Result<T, DemoError> {
    serde_json::from_str(text).map_err(|error| DemoError::Failed {
        program: format!("frostgate {verb} --json"),
        said: format!("{error}: {text}"),
    })
}

/// The addresses in the audit's first line, once it is there whole.
fn started(audit: &str) -> Option<Addresses> {
    let line: Value = serde_json::from_str(audit.lines().next()?).ok()?;
    let listen = line.get("listen")?.get(0)?.as_str()?;
    let (host, port) = listen.rsplit_once(':')?;
    let http = line.get("http")?.as_str()?.to_owned();
    Some(Addresses { host: host.to_owned(), port: port.parse().ok()?, http })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_the_audit_tells_where_the_proxy_is() {
        let line =
            r#"{"event":"started","http":"127.0.0.1:7441","listen":["127.0.0.1:7440"],"state":"open"}"#;
        let found = started(line).unwrap();
        assert_eq!(
            (found.host.as_str(), found.port, found.http.as_str()),
            ("127.0.0.1", 7440, "127.0.0.1:7441")
        );
        assert!(started(&line[..40]).is_none(), "half a line is none");
    }

    #[test]
    fn a_command_is_shown_as_it_is_typed() {
        assert_eq!(
            shown(&["freeze", "--reason", "storage move"]),
            "frostgate freeze --reason \"storage move\""
        );
    }
}
