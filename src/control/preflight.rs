//! What a freeze would meet, asked before it by the smoke test's principal: it sees the application's
//! database. Where there are several servers, their monitors look too.

use super::{
    command::{PreflightFinding, PreflightReply},
    error::ControlError,
    operator::Operator,
    window::Window,
};
use crate::{
    causes::with_causes,
    monitor::{self, Principal},
};
use std::collections::HashMap;

impl Operator {
    /// Looks. What keeps it from looking is a finding too.
    ///
    /// # Errors
    /// There is nobody who could look.
    pub async fn preflight(&self) -> Result<PreflightReply, ControlError> {
        let Window { principals, lookers, .. } = &self.window;
        if principals.is_empty() && lookers.iter().all(|(_, looker)| looker.is_none()) {
            return Err(ControlError::NobodyLooks);
        }
        let mut findings = Vec::new();
        for principal in principals {
            let whose = if principals.len() > 1 { format!("{principal}: ") } else { String::new() };
            look(principal, &whose, &mut findings).await;
        }
        for (name, looker) in lookers {
            if let Some(looker) = looker {
                look(looker, &format!("{name}: "), &mut findings).await;
            }
        }
        self.judge_itself(&mut findings);
        let weight = |finding: &PreflightFinding| match finding.weight.as_str() {
            "stop" => 0_u8,
            "warn" => 1,
            _ => 2,
        };
        findings.sort_by_key(weight);
        let may_begin = findings.iter().all(|finding| finding.weight != "stop");
        Ok(PreflightReply { may_begin, findings })
    }

    /// What the proxy knows without asking.
    fn judge_itself(&self, findings: &mut Vec<PreflightFinding>) {
        for watched in self.watched.iter().filter(|watched| watched.monitor.is_none()) {
            let which = self.which(watched);
            let text = format!(
                "there is no monitor: frostgate verify can't tell whether the server{which} is quiet"
            );
            findings.push(finding("warn", "rights", text));
        }
        for (name, twin) in self.twins() {
            let text = format!(
                "{name} and {twin} have one system identifier: if they are one server, one of upstreams shall be \
                 named by all of its databases; if one is a copy of the other, nothing is written there anyway"
            );
            findings.push(finding("warn", "upstreams", text));
        }
        if self.window_plan().maintenance.is_none() {
            let text = "there is no maintenance listener: nobody could write while frozen".into();
            findings.push(finding("stop", "maintenance", text));
        }
        if let Some(pooler) = self.pooler() {
            let text = format!("a pooler stands behind the proxy{}: there is no fence", self.which(pooler));
            findings.push(finding("stop", "fence", text));
        }
        if !self.state_durable {
            let text = "the state directory would not survive a restart of the machine".into();
            findings.push(finding("warn", "durable", text));
        }
    }

    /// Servers that have one identity, the later by the earlier.
    pub(super) fn twins(&self) -> Vec<(String, String)> {
        let mut known: HashMap<String, &str> = HashMap::new();
        let mut twins = Vec::new();
        for watched in &self.watched {
            let Some(identity) = watched.server.known.identity() else { continue };
            if let Some(before) = known.insert(identity, watched.name()) {
                twins.push((watched.name().to_owned(), before.to_owned()));
            }
        }
        twins
    }
}

fn finding(weight: &str, topic: &str, text: String) -> PreflightFinding {
    PreflightFinding { weight: weight.into(), topic: topic.into(), text }
}

async fn look(principal: &Principal, whose: &str, findings: &mut Vec<PreflightFinding>) {
    let looked = async { monitor::preflight(&principal.sit().await?).await };
    match looked.await {
        Ok(rows) => {
            let told =
                |(weight, topic, text): monitor::Row| finding(&weight, &topic, format!("{whose}{text}"));
            findings.extend(rows.into_iter().map(told));
        }
        Err(error) => findings.push(finding("stop", "login", format!("{whose}{}", with_causes(&error)))),
    }
}
