//! What a freeze would meet, asked before it by the smoke test's principal: it sees the application's database.

use super::{
    command::{PreflightFinding, PreflightReply},
    error::{ControlError, with_sources},
    operator::Operator,
};
use crate::monitor;

impl Operator {
    /// Looks. What keeps it from looking is a finding too.
    ///
    /// # Errors
    /// There is nobody who could look.
    pub async fn preflight(&self) -> Result<PreflightReply, ControlError> {
        let principal = self.window.principal.as_ref().ok_or(ControlError::NobodyLooks)?;
        let finding = |weight: &str, topic: &str, text: String| PreflightFinding {
            weight: weight.into(),
            topic: topic.into(),
            text,
        };
        let looked = async { monitor::preflight(&principal.sit().await?).await };
        let mut findings: Vec<PreflightFinding> = match looked.await {
            Ok(rows) => {
                rows.into_iter().map(|(weight, topic, text)| finding(&weight, &topic, text)).collect()
            }
            Err(error) => vec![finding("stop", "login", with_sources(&error))],
        };
        if self.monitor.is_none() {
            let text = "there is no monitor: frostgate verify can't tell whether the server is quiet".into();
            findings.push(finding("warn", "rights", text));
        }
        if self.window_plan().maintenance.is_none() {
            let text = "there is no maintenance listener: nobody could write while frozen".into();
            findings.push(finding("stop", "maintenance", text));
        }
        if self.server.is_pooler() == Some(true) {
            findings.push(finding(
                "stop",
                "fence",
                "a pooler stands behind the proxy: there is no fence".into(),
            ));
        }
        if !self.state_durable {
            let text = "the state directory would not survive a restart of the machine".into();
            findings.push(finding("warn", "durable", text));
        }
        let weight = |finding: &PreflightFinding| match finding.weight.as_str() {
            "stop" => 0_u8,
            "warn" => 1,
            _ => 2,
        };
        findings.sort_by_key(weight);
        let may_begin = findings.iter().all(|finding| finding.weight != "stop");
        Ok(PreflightReply { may_begin, findings })
    }
}
