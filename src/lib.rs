//! Frostgate: a PostgreSQL proxy that can be *frozen*. ARCHITECTURE.md tells the walk of one Query.
//!
//! The modules below stand on floors; a file names only modules of a lower floor (`tests/layering.rs`).
#![doc(html_no_source)]

pub mod app;
pub mod auth;
pub mod causes;
pub mod check;
pub mod cli;
pub mod config;
pub mod connection;
pub mod console;
pub mod control;
pub mod fleet;
pub mod freeze;
pub mod listener;
pub mod matching;
pub mod monitor;
pub mod net;
pub mod observe;
pub mod session;
pub mod sql;
pub mod tls;
pub mod trust;
pub mod wire;
