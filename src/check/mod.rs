//! The third wall, as far as it can be thought: what a monitoring role saw of the server goes in, and out comes
//! whether it was quiet, who goes round the proxy, and the SQL that stops it. Pure: nobody is asked here.

mod expected;
mod facts;
mod findings;
mod interval;
mod judge;
mod merged;
mod report;
#[cfg(test)]
mod tests;
mod wal;

pub use facts::{Backend, CronJob, Facts, HeldLock, Prepared, Slot, Subscription};
pub use findings::{Finding, Kind, Weight, Who};
pub use interval::{Proof, Stretch};
pub use judge::{Judged, Ours, judge};
pub use merged::Checked;
pub use report::{CheckReport, Quiet, ServerSeen, UpstreamChecked};
pub use wal::{WalRead, WalWrite};
