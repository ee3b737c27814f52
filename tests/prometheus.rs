//! The alert rules that ship with the product: Prometheus' own tools read and test them, and every metric that
//! they name is one that a running proxy serves. A rule about a metric that does not exist never fires.
//!
//! promtool comes with Prometheus (Debian: package `prometheus`). Where it is missing these tests say that they
//! are skipped, unless `FROSTGATE_TEST_TOOLS=required`, which `make test` sets.
#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "tests wait by the wall clock")]

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// The longest that a fact is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus")
}

fn rules() -> String {
    fs::read_to_string(deploy().join("frostgate.rules.yml")).unwrap()
}

/// Whether promtool is there; where it must be, its absence is a failure.
fn has_promtool() -> bool {
    let found = Command::new("promtool").arg("--version").output().is_ok();
    let required = env::var("FROSTGATE_TEST_TOOLS").is_ok_and(|names| names.contains("promtool"));
    assert!(found || !required, "promtool is not installed");
    if !found {
        println!("SKIPPED: promtool is not installed");
    }
    found
}

fn promtool(arguments: &[&str], file: &Path) {
    let output = Command::new("promtool").args(arguments).arg(file).output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "promtool {arguments:?} {}:\n{}", file.display(), said.concat());
}

#[test]
fn promtool_takes_the_rules_and_the_example_and_each_alert_fires_and_does_not_as_its_tests_say() {
    if has_promtool() {
        promtool(&["check", "rules"], &deploy().join("frostgate.rules.yml"));
        promtool(&["check", "config"], &deploy().join("prometheus.example.yml"));
        promtool(&["test", "rules"], &deploy().join("frostgate.rules.test.yml"));
    }
}

#[test]
fn every_alert_has_a_test_in_which_it_fires_and_one_in_which_it_does_not() {
    let tests = fs::read_to_string(deploy().join("frostgate.rules.test.yml")).unwrap();
    let mut shown: BTreeMap<&str, [bool; 2]> = BTreeMap::new();
    for case in tests.split("alertname: ").skip(1) {
        let (name, then) = case.split_once('\n').unwrap();
        shown.entry(name).or_default()[usize::from(!then.trim_start().starts_with("exp_alerts: []"))] = true;
    }
    let rules = rules();
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 10, "{alerts:?}");
    for alert in &alerts {
        assert_eq!(shown.get(alert), Some(&[true, true]), "{alert}: [does not fire, fires]");
    }
    assert_eq!(shown.len(), alerts.len(), "a test names an alert that is no more: {shown:?}");
}

#[test]
fn every_alert_says_how_grave_it_is_what_it_means_and_what_to_run() {
    for rule in rules().split("- alert: ").skip(1) {
        let has = |key: &str| rule.lines().any(|line| line.trim_start().starts_with(key));
        let name = rule.lines().next().unwrap();
        let severity = ["info", "warning", "page"].iter().any(|word| has(&format!("severity: {word}")));
        assert!(severity, "{name}");
        for key in ["summary: ", "description: ", "command: "] {
            assert!(has(key), "{name} has no {key}");
        }
    }
}

/// A proxy without a server: it serves its metrics all the same.
struct Proxy {
    child: Child,
    http: String,
    folder: TempDir,
}

impl Proxy {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_frostgate"))
            .args(["serve", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"])
            .args(["--upstream", "host=127.0.0.1 port=1"])
            .arg("--state-dir")
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let started: serde_json::Value = serde_json::from_str(&first).unwrap();
        let http = started["http"].as_str().unwrap().to_owned();
        Self { child, http, folder }
    }

    fn freeze(&self) {
        let mut freeze = Command::new(env!("CARGO_BIN_EXE_frostgate"));
        freeze.args(["freeze", "--reason", "test", "--until", "1h", "--control"]);
        let ended = freeze.arg(self.folder.path().join("control.sock")).output().unwrap();
        assert!(ended.status.success(), "{ended:?}");
    }

    fn metrics(&self) -> String {
        let mut stream = TcpStream::connect(&self.http).unwrap();
        write!(stream, "GET /metrics HTTP/1.0\r\nhost: test\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    /// The page, once it tells of the server.
    fn whole_page(&self) -> String {
        let begin = Instant::now();
        loop {
            let page = self.metrics();
            if page.contains("\nfrostgate_upstream_up{") {
                return page;
            }
            assert!(begin.elapsed() < PATIENCE, "{page}");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Names that begin with `frostgate_`, but for those of recording rules, which have colons.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
    words.filter(|word| word.starts_with("frostgate_")).map(str::to_owned).collect()
}

#[test]
fn every_metric_that_the_rules_and_their_tests_name_is_on_the_page_of_a_frozen_proxy() {
    let proxy = Proxy::start();
    proxy.freeze();
    let page = proxy.whole_page();
    let served: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next().map(str::to_owned))
        .collect();
    let tests = fs::read_to_string(deploy().join("frostgate.rules.test.yml")).unwrap();
    for (file, text) in [("the rules", rules()), ("their tests", tests)] {
        let named = metrics_in(&text);
        assert!(named.len() > 5, "{named:?}");
        let dead: Vec<&String> = named.difference(&served).collect();
        assert!(dead.is_empty(), "{file} name metrics that no proxy serves: {dead:?}");
    }
}

/// A row of `docs/METRICS.md` for each metric of the page: name, type, labels, help.
fn told(page: &str) -> BTreeSet<[String; 4]> {
    let of = |kind: &str, name: &str| {
        let prefix = format!("# {kind} {name} ");
        page.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap_or_default().to_owned()
    };
    let labels = |name: &str| {
        let samples = page.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{'));
        let labels = samples
            .flat_map(|sample| sample.split("=\"").collect::<Vec<_>>().split_last().unwrap().1.to_vec());
        let label = |text: &str| format!("`{}`", text.rsplit([',', '{']).next().unwrap());
        labels.map(label).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(", ")
    };
    let names = frostgate::observe::metrics::ALL.map(|(name, _)| name);
    names
        .map(|name| [format!("`{name}`"), of("TYPE", name), labels(name), of("HELP", name)])
        .into_iter()
        .collect()
}

#[test]
fn the_page_on_metrics_tells_each_with_its_type_its_labels_and_its_help() {
    let proxy = Proxy::start();
    proxy.freeze();
    let document = fs::read_to_string(deploy().join("../../docs/METRICS.md")).unwrap();
    let rows = document.lines().filter(|line| line.starts_with("| `frostgate_"));
    let cells = |row: &str| {
        let cells: Vec<String> = row.split('|').skip(1).take(4).map(|cell| cell.trim().to_owned()).collect();
        <[String; 4]>::try_from(cells).unwrap()
    };
    assert_eq!(rows.map(cells).collect::<BTreeSet<_>>(), told(&proxy.whole_page()));
}

#[test]
fn promtool_finds_no_fault_with_the_page_of_a_running_proxy() {
    if !has_promtool() {
        return;
    }
    let proxy = Proxy::start();
    for page in [proxy.whole_page(), {
        proxy.freeze();
        proxy.metrics()
    }] {
        let mut check = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        check.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
        let output = check.wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert!(output.status.success() && said.concat().trim().is_empty(), "{}", said.concat());
    }
}
