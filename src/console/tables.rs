//! What SHOW tells: each table once, its columns by the names under which `control` tells its answers.

use crate::{
    config::Config,
    control::{Operator, holding_up},
};
use serde::Serialize;
use serde_json::Value;

/// Rows that one answer has.
const ROWS_LIMIT: usize = 1_000;

/// A row's values; none is NULL.
pub(super) type Row = Vec<Option<String>>;

/// See the module's text.
#[derive(Debug)]
pub(super) struct Table {
    /// As it is said.
    pub(super) name: &'static str,
    pub(super) columns: &'static [&'static str],
    pub(super) what: &'static str,
    rows: fn(&Operator, &Config) -> Vec<Value>,
}

impl Table {
    /// What follows SHOW, in lower case.
    pub(super) fn key(&self) -> String {
        self.name.trim_start_matches("SHOW ").to_ascii_lowercase()
    }

    /// Its rows as of now.
    pub(super) fn rows(&self, operator: &Operator, config: &Config) -> Vec<Row> {
        let cells = |entry: &Value| self.columns.iter().map(|name| cell(entry.get(name))).collect();
        (self.rows)(operator, config).iter().take(ROWS_LIMIT).map(cells).collect()
    }
}

/// All of them.
pub(super) const TABLES: &[Table] = &[
    Table {
        name: "SHOW STATUS",
        columns: &["key", "value"],
        what: "Where the proxy stands.",
        rows: |operator, _| status(operator),
    },
    Table {
        name: "SHOW SESSIONS",
        columns: &[
            "session",
            "pid",
            "user",
            "database",
            "upstream",
            "application",
            "client",
            "entrance",
            "since",
            "standing",
            "in_transaction",
            "age_s",
            "last_command",
            "is_spared",
            "is_leftover",
            "client_is_gone",
        ],
        what: "Who is there and how each stands; who may write first, 500 at most.",
        rows: |operator, _| entries(&operator.sessions().sessions),
    },
    Table {
        name: "SHOW REFUSED",
        columns: &[
            "count",
            "user",
            "database",
            "application",
            "client",
            "command",
            "tables",
            "class",
            "first",
            "last",
            "fingerprint",
        ],
        what: "Who tried to write what, since when, how often.",
        rows: |operator, _| entries(&operator.refused().refused),
    },
    Table {
        name: "SHOW WRITERS",
        columns: &[
            "count",
            "application",
            "user",
            "database",
            "network",
            "is_maintenance",
            "commands",
            "tables",
            "first",
            "last",
        ],
        what: "Who writes: before the first freeze, too.",
        rows: |operator, _| entries(&operator.writers(None).writers),
    },
    Table {
        name: "SHOW EXCEPTIONS",
        columns: &[
            "name",
            "kind",
            "who",
            "reason",
            "owner",
            "until",
            "is_configured",
            "is_forgeable",
            "sessions",
            "statements",
            "writes",
        ],
        what: "Who may write while frozen, who may not even read, and what has been made of it.",
        rows: |operator, _| entries(&operator.exceptions().exceptions),
    },
    Table {
        name: "SHOW WINDOWS",
        columns: &["number", "reason", "by", "since", "frozen_at", "ended_at", "refused"],
        what: "Past freezes and the one under way, the newest 50.",
        rows: |operator, _| entries(&operator.windows().windows),
    },
    Table {
        name: "SHOW CONFIG",
        columns: &["key", "value"],
        what: "The configuration that holds, without secrets.",
        rows: |operator, config| {
            operator
                .holding(config)
                .shown()
                .into_iter()
                .map(|(key, value)| pair(key, &value.into()))
                .collect()
        },
    },
    Table {
        name: "SHOW VERSION",
        columns: &["version"],
        what: "Frostgate's version.",
        rows: |_, _| vec![serde_json::json!({ "version": version() })],
    },
];

/// The version as it is told.
pub(super) fn version() -> String {
    format!("Frostgate {}", env!("CARGO_PKG_VERSION"))
}

/// What of the status comes first; the rest follows by its name.
const FIRST: [&str; 8] = ["state", "epoch", "reason", "by", "since", "until", "frozen_at", "sessions"];

fn status(operator: &Operator) -> Vec<Value> {
    let status = operator.status();
    let Ok(Value::Object(mut told)) = serde_json::to_value(&status) else { return Vec::new() };
    told.remove("holding_up");
    let first: Vec<_> = FIRST.iter().filter_map(|key| told.remove_entry(*key)).collect();
    let mut rows: Vec<Value> = first.into_iter().chain(told).map(|(key, value)| pair(&key, &value)).collect();
    rows.extend(status.holding_up.iter().map(|who| pair("holding_up", &holding_up(who).into())));
    rows
}

fn pair(key: &str, value: &Value) -> Value {
    serde_json::json!({ "key": key, "value": value })
}

fn entries<T: Serialize>(told: &[T]) -> Vec<Value> {
    // What can't be told as JSON is told nowhere: the HTTP port would not either.
    told.iter().filter_map(|entry| serde_json::to_value(entry).ok()).collect()
}

/// Lists of texts with commas, counts by name as `name count`, what is empty or not there as NULL.
fn cell(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => {
            let told: Vec<String> = items.iter().filter_map(|item| cell(Some(item))).collect();
            (!told.is_empty()).then(|| told.join(","))
        }
        Value::Object(fields) => {
            let told: Vec<String> = fields
                .iter()
                .filter_map(|(name, value)| Some(format!("{name} {}", cell(Some(value))?)))
                .collect();
            (!told.is_empty()).then(|| told.join(", "))
        }
        other @ (Value::Bool(_) | Value::Number(_)) => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_cell_is_a_text_that_people_read() {
        for (value, told) in [
            (json!(null), None),
            (json!([]), None),
            (json!({}), None),
            (json!("x"), Some("x")),
            (json!(7), Some("7")),
            (json!(true), Some("true")),
            (json!(["orders", "jobs"]), Some("orders,jobs")),
            (json!({ "user": "app*", "network": null }), Some("user app*")),
            (json!({ "DELETE": 1, "INSERT": 2 }), Some("DELETE 1, INSERT 2")),
        ] {
            assert_eq!(cell(Some(&value)).as_deref(), told, "{value}");
        }
        assert_eq!(cell(None), None);
    }
}
