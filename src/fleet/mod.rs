//! Where the freeze lives while the process runs, and where it is kept: the switch that every session reads,
//! the roster of sessions that a drain waits for, what is known of the server, and the files that survive.

mod error;
mod file;
mod loopholes;
mod pids;
mod roster;
mod server;
mod switch;

pub use error::StoreError;
pub use file::{Loaded, StateFile};
pub use pids::PidLog;
pub use roster::{Census, Entrance, Identity, LoginUnderWay, Order, Place, Roster, SessionRecord, Way};
pub use server::{Learned, Question, ServerKnowledge};
pub use switch::Switch;
