//! Against real servers and real clients: one binary, so that it is linked once. `support` has the parts: a
//! throw-away PostgreSQL, the proxy as a process, a client that speaks raw messages, and `eventually`.
#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "tests wait by the wall clock")]

mod away;
mod bad_input;
mod banner;
mod cancel;
mod check;
mod console;
mod corpus;
mod cron;
mod drain;
mod durable;
mod ended;
mod exceptions;
mod facts;
mod fence;
mod freeze;
mod http;
mod login;
mod loopholes;
mod manual;
mod names;
mod page;
mod prometheus;
mod relay;
mod reload;
mod runbook;
mod service;
mod spanning;
mod support;
mod tls;
mod upstreams;
mod verbs;
mod wal;
mod window;
mod window_guards;
mod writers;
