//! Other programs: run to their end with a limit, in an environment that holds nothing of the caller's that could
//! send them to another server.

use super::error::DemoError;
use std::{
    env,
    ffi::OsStr,
    fs::File,
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};
use tokio::{
    process::{Child, Command},
    time::timeout,
};

/// For what is over at once: psql with a statement, a verb.
pub(super) const SOON: Duration = Duration::from_secs(30);
/// For what makes or starts something.
pub(super) const MAKING: Duration = Duration::from_mins(2);

/// A program without the caller's `PG…` and `FROSTGATE_…`, and which speaks English.
pub(super) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("LC_ALL", "C").stdin(Stdio::null()).kill_on_drop(true);
    for name in ["PATH", "HOME", "TZ", "LD_LIBRARY_PATH"] {
        if let Some(value) = env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

/// Runs a program to its end, well or badly.
pub(super) async fn finish(mut command: Command, limit: Duration) -> Result<Output, DemoError> {
    let name = name(&command);
    match timeout(limit, command.output()).await {
        Ok(ended) => ended.map_err(|source| DemoError::Start { program: name, source }),
        Err(_elapsed) => Err(DemoError::TooLate { what: format!("{name} to end"), limit }),
    }
}

/// Runs a program to its good end, and gives what it said.
pub(super) async fn succeed(command: Command, limit: Duration) -> Result<String, DemoError> {
    let program = name(&command);
    let output = finish(command, limit).await?;
    let said = said(&output);
    if output.status.success() { Ok(said) } else { Err(DemoError::Failed { program, said }) }
}

/// What a program said: standard output, then standard error.
pub(super) fn said(output: &Output) -> String {
    let [out, error] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{}\n{}", out.trim_end(), error.trim_end()).trim_matches('\n').to_owned()
}

/// Starts a program that stays until it is ended. It has a process group of its own: a Ctrl-C is for the demo,
/// which then ends all in order.
pub(super) fn stay(mut command: Command, out: &Path, log: &Path) -> Result<Child, DemoError> {
    let open = |path: &Path| {
        let made = File::create(path);
        made.map_err(|source| DemoError::File { act: "make", path: path.into(), source })
    };
    command.stdout(open(out)?).stderr(open(log)?).process_group(0).kill_on_drop(false);
    let program = name(&command);
    command.spawn().map_err(|source| DemoError::Start { program, source })
}

fn name(command: &Command) -> String {
    let path = Path::new(command.as_std().get_program());
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
