//! Who writes, asked of the running proxy.

use super::operator::Operator;
use crate::observe::WritersReply;
use jiff::Timestamp;

impl Operator {
    /// Every writer since the start, or since then.
    pub fn writers(&self, since: Option<Timestamp>) -> WritersReply {
        self.writers.told(since, self.now())
    }

    /// Books what the workers have delivered; once a second is enough.
    pub fn settle_writers(&self) {
        self.writers.settle(self.now());
    }
}
