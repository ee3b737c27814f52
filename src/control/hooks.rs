//! Commands around a freeze: each runs by `sh -c`, within a time limit, and its output is kept.

use super::{
    operator::Operator,
    told::{HookTold, Occasion},
};
use rustix::process::{Pid, Signal, kill_process_group};
use std::{io, process::Stdio, time::Duration};
use tokio::{
    io::AsyncReadExt as _,
    process::{Child, ChildStdout, Command},
    time::timeout,
};

/// Of a command's output so much is kept, in bytes.
const OUTPUT_LIMIT: usize = 4096;
/// So long a command's output is read on when the command has ended, if something else holds it open.
const LAST_WORDS: Duration = Duration::from_millis(100);

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
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
    let mut child = match shell.spawn() {
        Ok(child) => child,
        Err(error) => return (None, error.to_string()),
    };
    let group = Group::of(&child);
    let mut output = Vec::new();
    let exit = match timeout(limit, end(&mut child, &mut output)).await {
        Ok(Ok(exit)) => {
            group.leave();
            exit
        }
        Ok(Err(error)) => return (None, error.to_string()),
        Err(_over) => None,
    };
    (exit, String::from_utf8_lossy(&output).into_owned())
}

/// The command and all that it has started: they end together, unless the command has ended by itself. Also where
/// nobody waits for it any more.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }

    /// What it leaves in the background is its own affair, and its number may be another's by now.
    fn leave(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // It may have ended already.
            match kill_process_group(leader, Signal::KILL) {
                Ok(()) | Err(_) => {}
            }
        }
    }
}

/// All that it writes is read, so that it never waits for us; the front is kept. It is over when the command is, though
/// what it has started may still hold its output open.
async fn end(child: &mut Child, output: &mut Vec<u8>) -> io::Result<Option<i32>> {
    let Some(mut out) = child.stdout.take() else { return Ok(child.wait().await?.code()) };
    let ended = tokio::select! {
        // What was written is asked for first; that both may be dropped loses nothing.
        biased;
        read = keep(&mut out, output) => {
            read?;
            None
        }
        ended = child.wait() => Some(ended?),
    };
    match ended {
        Some(ended) => {
            // What it wrote last is in the pipe already.
            drop(timeout(LAST_WORDS, keep(&mut out, output)).await);
            Ok(ended.code())
        }
        None => Ok(child.wait().await?.code()),
    }
}

/// Reads to the end, and keeps the front.
async fn keep(out: &mut ChildStdout, output: &mut Vec<u8>) -> io::Result<()> {
    let mut chunk = [0; 1024];
    loop {
        let read = out.read(&mut chunk).await?;
        if read == 0 {
            return Ok(());
        }
        let room = OUTPUT_LIMIT.saturating_sub(output.len());
        output.extend(chunk.iter().take(read.min(room)));
    }
}
