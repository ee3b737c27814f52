//! Before a real Prometheus: the alerts that a frozen proxy raises, and every query of the dashboard.

use crate::support::{Postgres, Proxy, eventually, fetch, free_port, tool, upstream};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;

const INSERT: &str = "INSERT INTO t VALUES (1)";

fn deploy(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(path)).unwrap()
}

/// It scrapes one proxy, by the rules that ship with the product; what they wait for, it does not.
struct Prometheus {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl Prometheus {
    fn of(program: PathBuf, proxy: &Proxy) -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let rules = deploy("prometheus/frostgate.rules.yml");
        let at_once: Vec<&str> =
            rules.lines().filter(|line| !line.trim_start().starts_with("for: ")).collect();
        assert!(at_once.len() < rules.lines().count());
        fs::write(folder.path().join("frostgate.rules.yml"), at_once.join("\n")).unwrap();
        let config = deploy("prometheus/prometheus.example.yml")
            .replace("15s", "250ms")
            .replace("127.0.0.1:6441", &format!("127.0.0.1:{}", proxy.http));
        fs::write(folder.path().join("prometheus.yml"), config).unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let child = Command::new(program)
            .arg(format!("--config.file={}", folder.path().join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let prometheus = Self { child, port, _folder: folder };
        // What counts from 0 must have been seen at 0, so that the first refusal is an increase.
        let seen = "frostgate:statements_refused:by_class and on (instance) up == 1";
        eventually("a scrape and an evaluation", || {
            let answer = prometheus.get(&format!("query?query={}", encoded(seen)))?;
            (answer["data"]["result"].as_array()?.len() > 1).then_some(())
        });
        prometheus
    }

    fn get(&self, path: &str) -> Option<Value> {
        let (_, body) = fetch(self.port, &format!("GET /api/v1/{path}"))?;
        serde_json::from_str(&body).ok()
    }

    /// The labels of what a query finds.
    fn found(&self, query: &str) -> Vec<Value> {
        let answer = self.get(&format!("query?query={}", encoded(query))).unwrap();
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        answer["data"]["result"].as_array().unwrap().iter().map(|result| result["metric"].clone()).collect()
    }

    fn firing(&self) -> BTreeSet<String> {
        let Some(answer) = self.get("alerts") else { return BTreeSet::new() };
        let alerts = answer["data"]["alerts"].as_array().unwrap().iter();
        let firing = alerts.filter(|alert| alert["state"] == "firing");
        firing.map(|alert| alert["labels"]["alertname"].as_str().unwrap().to_owned()).collect()
    }

    fn fires(&self, alert: &str) {
        eventually(alert, || self.firing().contains(alert).then_some(()));
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// For a URL.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut all, byte| {
        if byte.is_ascii_alphanumeric() {
            all.push(char::from(byte));
        } else {
            write!(all, "%{byte:02X}").unwrap();
        }
        all
    })
}

#[test]
fn a_refused_write_a_bypasser_and_a_forgotten_end_raise_their_alerts_in_a_real_prometheus() {
    let Some(program) = tool("prometheus") else { return };
    let server = Postgres::start();
    let database = server.database();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("frostgate.toml");
    fs::write(&file, "[limits]\nmonitor_interval_ms = 200\n").unwrap();
    let monitor = format!("{} user=postgres dbname=postgres", upstream(&server));
    let more = ["--config", file.to_str().unwrap(), "--monitor", &monitor];
    let proxy = Proxy::in_folder(folder, &upstream(&server), &more);
    let mut client = proxy.connect(&database);
    assert_eq!(client.ask(INSERT), "C I");
    let prometheus = Prometheus::of(program, &proxy);
    assert_eq!(
        prometheus.firing().difference(&BTreeSet::from(["FrostgateStateNotDurable".to_owned()])).count(),
        0,
        "{:?}",
        prometheus.firing()
    );

    assert_eq!(proxy.run(&["freeze", "--reason", "x", "--until", "1s"]).code, 0);
    assert_eq!(client.ask(INSERT), "E25006 I");
    for alert in ["FrostgateFrozen", "FrostgateWriteRefused", "FrostgateFreezeOverdue"] {
        prometheus.fires(alert);
    }
    assert!(!prometheus.firing().contains("FrostgateBypasser"));
    let _direct = crate::support::Wire::connect(server.port, &database);
    prometheus.fires("FrostgateBypasser");
    prometheus.fires("FrostgateNotQuiet");
    proxy.thaw();
    eventually("calm", || (!prometheus.firing().contains("FrostgateBypasser")).then_some(()));
    eventually("calm", || (!prometheus.firing().contains("FrostgateFrozen")).then_some(()));
}

/// Every query of the dashboard, with what it is called by.
fn queries(dashboard: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().cloned().unwrap_or_default());
    let targets = targets.map(|target| (text(&target["expr"]), text(&target["legendFormat"])));
    let annotations = dashboard["annotations"]["list"].as_array().unwrap().iter();
    let annotations =
        annotations.map(|annotation| (text(&annotation["expr"]), text(&annotation["titleFormat"])));
    targets.chain(annotations).collect()
}

#[test]
fn every_query_of_the_dashboard_finds_something_and_the_labels_that_it_is_called_by() {
    let dashboard: Value = serde_json::from_str(&deploy("grafana/frostgate.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "panels have numbers of their own");
    let Some(program) = tool("prometheus") else { return };
    let server = Postgres::shared();
    let (proxy, database) = (Proxy::spawn(server), server.database());
    let prometheus = Prometheus::of(program, &proxy);
    let mut client = proxy.connect(&database);
    assert_eq!(proxy.run(&["freeze", "--reason", "x", "--until", "1h"]).code, 0);
    assert_eq!(client.ask(INSERT), "E25006 I");
    let refused = format!("frostgate_statements_refused_total{{database=\"{database}\"}} > 0");
    eventually("the refusal is scraped", || (!prometheus.found(&refused).is_empty()).then_some(()));
    eventually("so is the server", || (!prometheus.found("frostgate_upstream_up").is_empty()).then_some(()));

    let queries = queries(&dashboard);
    assert!(queries.len() > 20, "{}", queries.len());
    for (query, called) in &queries {
        let query = query.replace("$__rate_interval", "1m").replace("$instance", ".*");
        assert!(!query.contains('$'), "{query}: a variable that nobody sets");
        let found = prometheus.found(&query);
        assert!(!found.is_empty(), "{query} finds nothing");
        for label in called.split("{{").skip(1).map(|rest| rest.split("}}").next().unwrap()) {
            assert!(
                found.iter().all(|labels| labels[label].is_string()),
                "{query} has no {label}: {found:?}"
            );
        }
    }
    let named: BTreeSet<&str> = queries
        .iter()
        .flat_map(|(query, _)| query.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')))
        .filter(|word| word.starts_with("frostgate_"))
        .collect();
    let all = frostgate::observe::metrics::ALL.map(|(name, _)| name);
    let missing: Vec<&&str> =
        all.iter().filter(|name| !named.contains(**name) && **name != "frostgate_epoch").collect();
    assert!(missing.is_empty(), "the dashboard shows nothing of {missing:?}");

    let variable = dashboard["templating"]["list"][1]["query"]["query"].as_str().unwrap();
    let of = variable.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')')).unwrap();
    let (metric, label) = of.split_once(", ").unwrap();
    assert!(prometheus.found(metric).iter().all(|labels| labels[label].is_string()), "{variable}");
}
