//! Where the freeze lives while the process runs, and where it is kept: the switch that every session reads,
//! the roster of sessions that a drain waits for, what is known of the server, and the files that survive.

mod census;
mod entrance;
mod error;
mod file;
mod identity;
mod loopholes;
mod pids;
mod processes;
mod records;
mod roster;
mod rules;
mod server;
mod session_record;
mod switch;

pub use census::Census;
pub use entrance::Entrance;
pub use error::StoreError;
pub use file::{Loaded, StateFile};
pub use identity::{Identity, Place, Way};
pub use pids::{Orphans, PidLog};
pub use processes::Processes;
pub use records::{RECORDS_LIMIT, Records};
pub use roster::{LoginUnderWay, Roster};
pub use rules::{Listed, RuleBook, RuleUse, Ruling};
pub use server::{Learned, Question, ServerKnowledge};
pub use session_record::{Order, SessionRecord, Wait};
pub use switch::Switch;
