//! The operator's verbs, each once: what can be asked (`command`), how it is done (`operator`, `drain`), what is
//! told (`status`, `telling`), what is known of the servers (`watched`, `servers`, `verify`), and how it is reached (`http`).

mod command;
mod connections;
mod drain;
mod error;
mod evidence;
mod hooks;
mod http;
mod keeping;
mod markdown;
mod operator;
mod options;
mod page;
mod preflight;
mod reconfigure;
mod record;
mod reload;
mod reopen;
mod rules;
mod scope;
mod servers;
mod sessions;
mod smoke;
mod status;
mod telling;
mod told;
mod verbs;
mod verify;
mod waiter;
mod waiting;
mod watched;
mod when;
mod window;
mod writing;

pub use command::{
    DrainOptions, ExceptCall, ExceptionsReply, FreezeCall, OnTimeout, PreflightFinding, PreflightReply,
    RefusedReply, ReopenCall, RuleTold, RunningReads, Stragglers, ThawCall, UnexceptCall, VerbReply,
    VerifyCall,
};
pub use error::ControlError;
pub use http::{control_routes, public_routes, serve_tcp, serve_unix};
pub use operator::{AuditSink, Clock, Operator, OperatorParts, Reread};
pub use options::{FreezeOptions, ThawOptions, WhomOptions};
pub use record::{RefusedInWindow, WindowLine, WindowRecord};
pub use reload::Reloaded;
pub use sessions::{SessionTold, SessionsReply};
pub use status::{CheckTold, HoldsUp, Status};
pub use told::{HookTold, Occasion, ReopenPhase, ReopenTold, SmokeTold};
pub use waiting::{
    FreezeEnd, FreezeWait, WATCH_AFTER_FREEZE, headline, holding_up, instant, progress, shut, thawed,
};
pub use watched::{Replaced, UpstreamTold, Watched};
pub use when::{since, until};
pub use window::{WindowParts, WindowPlan, WindowsReply};
