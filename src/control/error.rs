//! Why a verb was not done.

use super::watched::Replaced;
use crate::{
    fleet::StoreError,
    freeze::{SCOPE_LIMIT, WordsFault},
    matching::RuleFault,
    monitor::MonitorError,
};
use jiff::Timestamp;
use std::io;

/// See the module's text. Its texts are for operators.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The operator's words are not taken.
    #[error("{what}: {fault}")]
    Words {
        /// Which words.
        what: &'static str,
        /// Why.
        fault: WordsFault,
    },
    /// What was said behind a verb can't be read.
    #[error("{option}: {problem}")]
    Option {
        /// Which option, as the command line writes it, without its dashes.
        option: &'static str,
        /// What was expected.
        problem: String,
    },
    /// Who may write while frozen, by the maintenance listener or by an exception, has a transaction open.
    #[error(
        "{count} exempt session(s) have a transaction open, of the maintenance listener or of an exception; commit or roll \
         it back first (frostgate status tells who)"
    )]
    ExemptTransactionOpen {
        /// How many.
        count: usize,
    },
    /// It is frozen, or draining, already.
    #[error(
        "{by} has shut the gate already, since {since:.0} ({reason}): a window would thaw that freeze at its end; wait until \
         it is over, or, if it is yours, run the command through the maintenance listener, then frostgate thaw"
    )]
    NotOpen {
        /// Who froze.
        by: String,
        /// Why.
        reason: String,
        /// Since when.
        since: Timestamp,
    },
    /// Nothing would reject what the classifier can't see.
    #[error(
        "a pooler stands between Frostgate and PostgreSQL{which}: there is no fence, and writes hidden in functions would \
         pass; put Frostgate next to PostgreSQL, or freeze with --allow-unfenced"
    )]
    Unfenced {
        /// The server's name, where there are several.
        which: String,
    },
    /// Nobody looks at the server.
    #[error(
        "there is no monitor, so nobody can tell whether the server{which} is quiet; start the proxy with --monitor \
         'host=… user=… dbname=postgres' (FROSTGATE_MONITOR, or monitor in its file), best of a role made for it: CREATE \
         ROLE frostgate_monitor LOGIN IN ROLE pg_monitor"
    )]
    NoMonitor {
        /// The server's name, where there are several.
        which: String,
    },
    /// The monitor could not look.
    #[error(transparent)]
    Monitor(#[from] MonitorError),
    /// Another server answers than the one that was frozen.
    #[error("{}; if that is what you want, thaw with --accept-new-server", other_servers(replaced, *is_one_of_many))]
    NewServer {
        /// Those that are others than were frozen.
        replaced: Vec<Replaced>,
        /// Whether it must be said which.
        is_one_of_many: bool,
    },
    /// An exception, a denial or a scope is not taken.
    #[error(transparent)]
    Rule {
        /// Why.
        fault: RuleFault,
    },
    /// Nobody has that number.
    #[error("there is no session {session}")]
    NoSuchSession {
        /// The number.
        session: u64,
    },
    /// There is no rule of that name that an operator made.
    #[error(
        "there is no exception called {name:?} that was made by command; those of the configuration stay"
    )]
    NoSuchRule {
        /// The name.
        name: String,
    },
    /// A command that must succeed before a freeze did not.
    #[error("not frozen: the command {command:?} {ended}{output}")]
    Hook {
        /// The command.
        command: String,
        /// How it ended.
        ended: String,
        /// What it wrote, behind a colon.
        output: String,
    },
    /// The configuration asks for a smoke test before a thaw.
    #[error(
        "no smoke test has passed in this freeze, and the configuration asks for one: frostgate smoke, or thaw with \
         --skip-smoke --reason"
    )]
    SmokeNeeded,
    /// There is no smoke test.
    #[error("no smoke test is configured: [smoke] in the proxy's file")]
    NoSmoke,
    /// There is nobody to look before a freeze.
    #[error("nobody can look: the proxy has neither a monitor nor a [smoke] conninfo")]
    NobodyLooks,
    /// There is no plan to reopen by.
    #[error("no stages are configured: [[reopen]] in the proxy's file; frostgate thaw opens for everybody")]
    NoStages,
    /// There is nothing to reopen.
    #[error("nothing is frozen")]
    NotFrozen,
    /// A reopening is under way.
    #[error("a reopening is under way already")]
    Reopening,
    /// Another verb has come since the one that this belongs to.
    #[error("another freeze or thaw has come in between, and is left as it is")]
    Overtaken,
    /// A freeze is limited, or thawed, by too many matches.
    #[error("a freeze is limited, and thawed, by {SCOPE_LIMIT} matches at most")]
    ScopeTooLarge,
    /// A freeze of some would leave those open that it shall hold for.
    #[error("{problem}")]
    Scope {
        /// Why, and what to do.
        problem: String,
    },
    /// The configuration can't be read again, or is wrong.
    #[error("{problem}")]
    Configuration {
        /// What is wrong with it, all at once.
        problem: String,
    },
    /// The state could not be kept.
    #[error("the gate is {gate}, but the state could not be kept")]
    NotKept {
        /// Where the gate stands now.
        gate: &'static str,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// A listener of ours failed.
    #[error("can't serve {what}")]
    Serve {
        /// Which.
        what: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl ControlError {
    /// The exit code that the command line ends with. Source: the contract's list of codes.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Words { .. } | Self::Rule { .. } | Self::NoSuchRule { .. } | Self::ScopeTooLarge => 2,
            Self::Option { .. } | Self::NoSuchSession { .. } => 2,
            Self::NoSmoke | Self::NobodyLooks | Self::NoStages | Self::Configuration { .. } => 2,
            Self::NotFrozen | Self::Reopening | Self::Overtaken => 1,
            Self::Hook { .. } | Self::SmokeNeeded | Self::NotOpen { .. } => 4,
            Self::ExemptTransactionOpen { .. }
            | Self::Unfenced { .. }
            | Self::Scope { .. }
            | Self::NoMonitor { .. }
            | Self::NewServer { .. } => 4,
            Self::Monitor(_) => 5,
            Self::NotKept { .. } | Self::Serve { .. } => 1,
        }
    }
}

fn other_servers(replaced: &[Replaced], is_one_of_many: bool) -> String {
    let told = |Replaced { upstream, frozen, found }: &Replaced| {
        let Some(found) = found else {
            return format!(
                "the server {upstream} that was frozen (system identifier {frozen}) is not configured any more"
            );
        };
        let which = if is_one_of_many { format!(" {upstream}") } else { String::new() };
        format!(
            "the server{which} is another one (system identifier {found}) than the one that was frozen ({frozen})"
        )
    };
    replaced.iter().map(told).collect::<Vec<_>>().join("; ")
}
