//! The sessions, told one by one: who each is, by which door it came, and how it stands.

use super::{error::ControlError, operator::Operator};
use crate::{
    fleet::{Order, SessionRecord},
    freeze::{Phase, Standing},
};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

/// Sessions that one answer tells; how many there are is told beside them.
const TOLD_LIMIT: usize = 500;

/// A session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SessionTold {
    /// The proxy's number for it.
    pub session: u64,
    /// The server's process id.
    pub pid: Option<u32>,
    /// The role.
    pub user: String,
    /// The database.
    pub database: String,
    /// The name of the server that it is on.
    pub upstream: String,
    /// The name that the client gives itself.
    pub application: String,
    /// Where it comes from: an address with its port, or `local`.
    pub client: String,
    /// By which door: `ordinary` or `maintenance`.
    pub entrance: String,
    /// When it logged in.
    pub since: Timestamp,
    /// `quiet`, `settling`, `unproven` or `writing`.
    pub standing: String,
    /// Whether a transaction is open.
    pub in_transaction: bool,
    /// For how long it has been open, in seconds.
    pub age_s: Option<u64>,
    /// The command word of the last statement that was judged behind a shut gate.
    pub last_command: String,
    /// Whether the freeze, if there is one, does not hold for it: by its scope or by an exception.
    pub is_spared: bool,
    /// Whether its transaction stays read-only to its end though the gate is open.
    pub is_leftover: bool,
    /// Whether its client has gone, and only the server is still at it.
    pub client_is_gone: bool,
}

impl SessionTold {
    pub(super) fn of(record: &SessionRecord, now: Timestamp) -> Self {
        let (who, report) = (&record.identity, record.report());
        let now = u64::try_from(now.as_second()).unwrap_or(0);
        Self {
            session: who.id,
            pid: who.cancel_key.as_ref().map(|key| key.process_id),
            user: who.user.to_string(),
            database: who.database.to_string(),
            upstream: who.upstream.to_string(),
            application: record.application().to_string(),
            client: who.client.map_or_else(|| "local".to_owned(), |address| address.to_string()),
            entrance: who.entrance.as_str().into(),
            since: who.since,
            standing: report.standing.as_str().into(),
            in_transaction: report.in_transaction,
            age_s: record.transaction_since().map(|since| now.saturating_sub(since)),
            last_command: record.last_command().into(),
            is_spared: report.is_spared,
            is_leftover: report.is_leftover,
            client_is_gone: record.is_client_gone(),
        }
    }
}

/// What `sessions` answers.
#[derive(Debug, Clone, Serialize)]
pub struct SessionsReply {
    /// How many there are.
    pub total: usize,
    /// What may write first, the oldest transaction before others, and then by their numbers.
    pub sessions: Vec<SessionTold>,
}

impl Operator {
    /// Ends a session: what it runs is cancelled, and its transaction rolled back.
    ///
    /// # Errors
    /// Nobody has that number.
    pub fn kill(&self, session: u64, by: &str) -> Result<SessionTold, ControlError> {
        let all = self.switch.roster().all();
        let record = all.iter().find(|record| record.identity.id == session);
        let record = record.ok_or(ControlError::NoSuchSession { session })?;
        let told = SessionTold::of(record, self.now());
        record.give(Order::Kill);
        self.tell("kill", json!({ "by": by, "session": told }));
        Ok(told)
    }

    /// Who is there, and how each stands.
    pub fn sessions(&self) -> SessionsReply {
        let (now, is_open) = (self.now(), self.switch.gate().phase() == Phase::Open);
        let told = |mut told: SessionTold| {
            // What a session was spared, or last asked, is of the freeze that is over.
            if is_open {
                (told.is_spared, told.last_command) = (false, String::new());
            }
            told
        };
        let all = self.switch.roster().all();
        bounded(all.iter().map(|record| told(SessionTold::of(record, now))).collect())
    }
}

fn bounded(mut sessions: Vec<SessionTold>) -> SessionsReply {
    let quiet = Standing::Quiet.as_str();
    sessions.sort_by_key(|told| (told.standing == quiet, std::cmp::Reverse(told.age_s), told.session));
    let total = sessions.len();
    sessions.truncate(TOLD_LIMIT);
    SessionsReply { total, sessions }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_are_told_as_the_limit_allows_and_those_first_that_may_write() {
        let session = |session, standing: Standing, age_s: Option<u64>| SessionTold {
            session,
            pid: None,
            user: "ann".into(),
            database: "db".into(),
            upstream: "main".into(),
            application: String::new(),
            client: "local".into(),
            entrance: "ordinary".into(),
            since: Timestamp::UNIX_EPOCH,
            standing: standing.as_str().into(),
            in_transaction: age_s.is_some(),
            age_s,
            last_command: String::new(),
            is_spared: false,
            is_leftover: false,
            client_is_gone: false,
        };
        let mut all: Vec<SessionTold> =
            (0..1000).map(|number| session(number, Standing::Quiet, None)).collect();
        all.push(session(2000, Standing::Quiet, Some(9)));
        all.push(session(2001, Standing::Writing, Some(1)));
        all.push(session(2002, Standing::Writing, Some(5)));
        let SessionsReply { total, sessions } = bounded(all);
        let numbers: Vec<u64> = sessions.iter().map(|told| told.session).take(5).collect();
        assert_eq!((total, sessions.len()), (1003, TOLD_LIMIT));
        assert_eq!(numbers, [2002, 2001, 2000, 0, 1]);
    }
}
