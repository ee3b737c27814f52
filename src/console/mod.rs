//! The console: what psql finds behind the database name of `[console]`. pgwire speaks the protocol once the login is
//! over; what can be said (`command`), what is told (`tables`), and who may say it (`visit`) is decided here, and
//! done by `control`, as for every other hand.

mod command;
mod desk;
mod error;
mod handler;
mod options;
mod tables;
mod talk;
mod verbs;
mod visit;

pub use desk::{Console, Guest};
pub use talk::talk;
