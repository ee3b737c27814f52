//! The protocol brain: what each message means for the freeze. Pure and sans-IO: messages, the gate and the
//! operator's words go in; what to forward, drop, hold and write comes out. `net/relay.rs` moves the bytes.

mod ahead;
mod fence;
mod inject;
mod injection;
mod judging;
mod life;
mod names;
mod outlook;
mod pipeline;
mod policy;
mod refusal;
mod replies;
mod requests;
mod shows;
mod transaction;
mod turn;
mod writes;

pub use fence::FenceKind;
pub use life::{Session, SessionError, SessionSettings};
pub use policy::{Bearing, Role};
pub use refusal::{Refusal, Words};
pub use turn::{Event, Fate, Output, Tally, Turn};
pub use writes::{
    NEW_SHAPES_LIMIT, SHAPELESS_LIMIT, SHAPES_LIMIT, WRITE_TEXT_KEPT, WriterId, Writes, Written,
};
