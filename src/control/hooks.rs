//! Commands around a freeze: each runs by `sh -c`, within a time limit, and its output is kept.

use super::{
    operator::Operator,
    told::{HookTold, Occasion},
};
use std::{io, process::Stdio, time::Duration};
use tokio::{
    io::AsyncReadExt as _,
    process::{Child, Command},
    time::timeout,
};

/// Of a command's output so much is kept, in bytes.
const OUTPUT_LIMIT: usize = 4096;

impl Operator {
    /// Runs that occasion's commands one after another, up to the first that fails if they must not. `window` is the
    /// number of the window that they belong to, if there is one already.
    pub(super) async fn run_hooks(
        &self,
        occasion: Occasion,
        words: &[(&str, String)],
        window: Option<u64>,
    ) -> Vec<HookTold> {
        let hooks = &self.window.settings.hooks;
        let commands = match occasion {
            Occasion::BeforeFreeze => &hooks.before_freeze,
            Occasion::AfterFreeze => &hooks.after_freeze,
            Occasion::AfterThaw => &hooks.after_thaw,
        };
        let mut all = Vec::new();
        for command in commands {
            let at = self.now();
            let (exit, output) = run(command, hooks.timeout, occasion, words).await;
            let took_ms = self.now().duration_since(at).unsigned_abs().as_millis();
            let took_ms = u64::try_from(took_ms).unwrap_or(u64::MAX);
            let told = HookTold { occasion, command: command.clone(), at, took_ms, exit, output };
            let facts = serde_json::json!({ "occasion": occasion, "command": command, "exit": exit });
            self.tell_of(window, "hook", facts);
            let is_good = told.is_good();
            all.push(told);
            if !is_good && occasion == Occasion::BeforeFreeze {
                break;
            }
        }
        all
    }
}

async fn run(
    command: &str,
    limit: Duration,
    occasion: Occasion,
    words: &[(&str, String)],
) -> (Option<i32>, String) {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("{{ {command}\n}} 2>&1")).env("FROSTGATE_OCCASION", occasion.as_str());
    shell.envs(words.iter().map(|(name, value)| (*name, value)));
    // What a hook says is not what the service says of itself (sd_notify(3)).
    shell.env_remove("NOTIFY_SOCKET").env_remove("WATCHDOG_USEC").env_remove("WATCHDOG_PID");
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = match shell.spawn() {
        Ok(child) => child,
        Err(error) => return (None, error.to_string()),
    };
    let mut output = Vec::new();
    let exit = match timeout(limit, end(&mut child, &mut output)).await {
        Ok(Ok(exit)) => exit,
        Ok(Err(error)) => return (None, error.to_string()),
        Err(_over) => None,
    };
    (exit, String::from_utf8_lossy(&output).into_owned())
}

/// All that it writes is read, so that it never waits for us; the front is kept.
async fn end(child: &mut Child, output: &mut Vec<u8>) -> io::Result<Option<i32>> {
    if let Some(mut out) = child.stdout.take() {
        let mut chunk = [0; 1024];
        loop {
            let read = out.read(&mut chunk).await?;
            if read == 0 {
                break;
            }
            let room = OUTPUT_LIMIT.saturating_sub(output.len());
            output.extend(chunk.iter().take(read.min(room)));
        }
    }
    Ok(child.wait().await?.code())
}
