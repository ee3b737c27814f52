//! Those who watch: counters that a worker writes and anyone reads, the book of refused statements, the audit
//! lines, the metrics. Nothing here ever makes a relay wait: what can't be taken in time is dropped and counted.

mod audit;
mod book;
mod counters;
mod labels;
pub mod metrics;
mod watch;
mod writers;

pub use audit::{Audit, Line, line};
pub use book::{Book, Entry, Key, Tried};
pub use counters::WorkerCounters;
pub use labels::{LabelBook, Labels, Sample};
pub use watch::{Seen, WATCH_LIMIT, Watch, What};
pub use writers::{
    WRITER_SHAPES_LIMIT, WRITERS_LIMIT, Writer, WriterEntry, WriterShape, Writers, WritersReply,
    client_network,
};
