//! Where the freeze lives while the process runs, and where it is kept: the switch that every session reads,
//! the roster of sessions that a drain waits for, and the file that survives.

mod error;
mod file;
mod roster;
mod switch;

pub use error::StoreError;
pub use file::{Loaded, StateFile};
pub use roster::{Census, Entrance, Identity, Order, Place, Roster, SessionRecord};
pub use switch::Switch;
