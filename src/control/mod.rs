//! The operator's verbs, each once: what can be asked (`command`), how it is done (`operator`, `drain`), what is
//! told (`status`, `telling`), what the monitor finds (`verify`), and how it is reached (`http`).

mod command;
mod drain;
mod error;
mod evidence;
mod http;
mod operator;
mod page;
mod rules;
mod status;
mod telling;
mod verbs;
mod verify;
mod waiter;
mod writing;

pub use command::{
    DrainOptions, ExceptCall, ExceptionsReply, FreezeCall, OnTimeout, RefusedReply, RuleTold, RunningReads,
    Stragglers, ThawCall, UnexceptCall, VerbReply, VerifyCall,
};
pub use error::ControlError;
pub use http::{control_routes, public_routes, serve_tcp, serve_unix};
pub use operator::{AuditSink, Clock, Operator, OperatorParts};
pub use status::{CheckTold, HoldsUp, Status};
