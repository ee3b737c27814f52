//! A window's report for people: Markdown, to be pasted into a ticket.

use super::record::WindowRecord;
use jiff::Timestamp;
use serde_json::Value;
use std::fmt::Write as _;

/// The report.
pub(super) fn markdown(record: &WindowRecord) -> String {
    let mut text = String::new();
    // Writing into a string never fails.
    match write(&mut text, record) {
        Ok(()) | Err(_) => text,
    }
}

fn write(text: &mut String, record: &WindowRecord) -> std::fmt::Result {
    writeln!(text, "# Window {}: {}\n", record.number, record.reason)?;
    let instant = |at: Option<Timestamp>| at.map_or_else(|| "not yet".into(), |at| format!("{at:.0}"));
    let rows = [
        ("frozen by", record.by.clone()),
        ("gate shut", instant(Some(record.since))),
        ("should be over", record.until.map_or_else(|| "not said".into(), |at| format!("{at:.0}"))),
        ("frozen", after(record.frozen_at, record.since)),
        ("open again", after(record.ended_at, record.since)),
        ("opened by", record.ended_by.clone().unwrap_or_default()),
        ("because", record.end_reason.clone().unwrap_or_default()),
        ("statements refused", record.refused.to_string()),
    ];
    writeln!(text, "| | |\n|---|---|")?;
    for (label, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        writeln!(text, "| {label} | {} |", cell(value))?;
    }
    refusals(text, record)?;
    rules(text, record)?;
    runs(text, record)?;
    writeln!(text, "\n## What happened\n")?;
    for event in &record.events {
        writeln!(text, "- {}", cell(&happened(event)))?;
    }
    if record.events_dropped > 0 {
        writeln!(text, "- and {} more line(s), which the audit has", record.events_dropped)?;
    }
    Ok(())
}

fn refusals(text: &mut String, record: &WindowRecord) -> std::fmt::Result {
    writeln!(text, "\n## Who was refused\n")?;
    if record.refusals.is_empty() {
        return writeln!(text, "Nobody.");
    }
    writeln!(text, "| count | application | user | database | from | command | tables | last |")?;
    writeln!(text, "|---|---|---|---|---|---|---|---|")?;
    for refused in &record.refusals {
        let cells = [
            refused.count.to_string(),
            refused.application.clone(),
            refused.user.clone(),
            refused.database.clone(),
            refused.client.clone(),
            refused.command.clone(),
            refused.tables.join(", "),
            format!("{:.0}", refused.last),
        ];
        let cells: Vec<String> = cells.iter().map(|text| cell(text)).collect();
        writeln!(text, "| {} |", cells.join(" | "))?;
    }
    Ok(())
}

fn rules(text: &mut String, record: &WindowRecord) -> std::fmt::Result {
    if record.exceptions.is_empty() {
        return Ok(());
    }
    writeln!(text, "\n## Exceptions and denials\n")?;
    for told in &record.exceptions {
        let used = if told.sessions == 0 {
            "UNUSED".to_owned()
        } else {
            format!(
                "{} session(s), {} statement(s), {} write(s)",
                told.sessions, told.statements, told.writes
            )
        };
        let line = format!(
            "{} ({:?}; {}): {}; {used}",
            told.rule.name, told.rule.kind, told.rule.who, told.rule.reason
        );
        writeln!(text, "- {}", cell(&line))?;
    }
    Ok(())
}

fn runs(text: &mut String, record: &WindowRecord) -> std::fmt::Result {
    if !record.hooks.is_empty() {
        writeln!(text, "\n## Hooks\n")?;
    }
    for hook in &record.hooks {
        let exit = hook.exit.map_or_else(|| "did not end in time".into(), |code| format!("exit {code}"));
        let line = format!("{} `{}`: {exit} after {} ms", hook.occasion.as_str(), hook.command, hook.took_ms);
        writeln!(text, "- {}", cell(&line))?;
        for output in hook.output.lines() {
            writeln!(text, "      {output}")?;
        }
    }
    if !record.smokes.is_empty() {
        writeln!(text, "\n## Smoke tests\n")?;
    }
    for smoke in &record.smokes {
        let problem = smoke.problem.as_deref().unwrap_or("passed");
        writeln!(text, "- {:.0}: {} ({} ms)", smoke.at, cell(problem), smoke.took_ms)?;
    }
    Ok(())
}

fn after(at: Option<Timestamp>, since: Timestamp) -> String {
    let Some(at) = at else { return "not yet".into() };
    let seconds = at.duration_since(since).as_secs_f64();
    format!("{at:.0}, {seconds:.1} s after the gate shut")
}

/// One line of the audit: when, what, and the facts.
fn happened(event: &Value) -> String {
    let Some(fields) = event.as_object() else { return event.to_string() };
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    let facts = fields.iter().filter(|(name, value)| *name != "time" && *name != "event" && !value.is_null());
    let told: Vec<String> = facts.map(|(name, value)| format!("{name} {value}")).collect();
    format!("{} **{}** {}", text("time"), text("event"), told.join(", "))
}

/// Nothing in it may end the cell or the line.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_tells_the_window_and_no_text_breaks_out_of_its_cell() {
        let mut record =
            WindowRecord { number: 7, reason: "a|b".into(), by: "ann\nx".into(), ..WindowRecord::default() };
        record.frozen_at = Timestamp::from_second(2).ok();
        record.note("{\"time\":\"t\",\"event\":\"frozen\",\"epoch\":7}");
        let text = markdown(&record);
        assert!(text.starts_with("# Window 7: a|b"), "{text}");
        assert!(
            text.contains("| frozen by | ann x |") && text.contains("2.0 s after the gate shut"),
            "{text}"
        );
        assert!(text.contains("- t **frozen** epoch 7") && text.contains("Nobody."), "{text}");
    }
}
