//! A whole maintenance window with a real migration, by hand; and the README's runbook, command by command.

use crate::support::{Postgres, Proxy, Ran, Wire, binary, eventually, upstream};
use serde_json::Value;
use std::{
    fmt::Write as _,
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Stdio},
};

const MIGRATION: &str = "\
BEGIN;
SET LOCAL lock_timeout = '5s';
ALTER TABLE orders ADD COLUMN currency text;
ALTER TABLE orders RENAME COLUMN price TO amount;
ALTER TABLE orders ADD CONSTRAINT has_currency CHECK (currency IS NOT NULL) NOT VALID;
COMMIT;
UPDATE orders SET currency = 'CHF' WHERE currency IS NULL;
ALTER TABLE orders VALIDATE CONSTRAINT has_currency;
CREATE INDEX CONCURRENTLY orders_currency ON orders (currency);
";
/// What the old application still asks for, and a default for what it does not say.
const MENDED: &str = "\
ALTER TABLE orders RENAME COLUMN amount TO price;
ALTER TABLE orders ALTER COLUMN currency SET DEFAULT 'CHF';
";
const BACK: &str = "ALTER TABLE orders DROP COLUMN currency;\n";
const ORDER: &str = "INSERT INTO orders (price) VALUES (1)";

/// A shop, and a proxy with all that a window needs: maintenance listener, monitor, smoke test, stages.
struct Shop {
    server: Postgres,
    proxy: Proxy,
}

impl Shop {
    fn open() -> Self {
        let server = Postgres::start();
        // What autovacuum does by itself would be there in one run and not in the next.
        for sql in [
            "ALTER SYSTEM SET autovacuum = off",
            "SELECT pg_reload_conf()",
            "CREATE ROLE app LOGIN",
            "CREATE ROLE monitor LOGIN IN ROLE pg_monitor",
            "CREATE DATABASE shop OWNER app",
        ] {
            server.sql("postgres", sql);
        }
        server.sql(
            "shop",
            "CREATE TABLE orders (id serial PRIMARY KEY, price int NOT NULL); ALTER TABLE orders OWNER TO app; \
             INSERT INTO orders (price) SELECT n FROM generate_series(1, 1000) n",
        );
        let folder = tempfile::tempdir().unwrap();
        let mut text = format!(
            "monitor = 'host=127.0.0.1 port={} user=monitor dbname=postgres'\n\
             [smoke]\nconninfo = 'host={} port=1 user=app dbname=shop'\nread = 'SELECT count(*) FROM orders'\n\
             write = 'UPDATE orders SET id = id WHERE id = 1'\nrequired = true\n",
            server.port,
            folder.path().display()
        );
        for (name, whom) in
            [("admins", "application = 'admin'\n"), ("web", "application = 'web'\n"), ("all", "")]
        {
            let limits = "dwell_ms = 1000\nmax_server_errors = 2\nmax_refused = 1000\n";
            write!(text, "[[reopen]]\nname = '{name}'\n{whom}{limits}").unwrap();
        }
        let file = folder.path().join("frostgate.toml");
        fs::write(&file, text).unwrap();
        let proxy = Proxy::in_folder(folder, &upstream(&server), &["--config", file.to_str().unwrap()]);
        Self { server, proxy }
    }

    fn client(&self, application: &str) -> Wire {
        let mut wire = Wire::open(self.proxy.port);
        wire.log_in(&[("user", "app"), ("database", "shop"), ("application_name", application)]);
        wire
    }

    fn migrate(&self, sql: &str) {
        let file = self.proxy.folder.path().join("step.sql");
        fs::write(&file, sql).unwrap();
        let ran =
            self.proxy.psql_maintenance("shop", &["-v", "ON_ERROR_STOP=1", "-f", file.to_str().unwrap()]);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    }

    fn orders(&self) -> u32 {
        self.server.sql("shop", "SELECT count(*) FROM orders").parse().unwrap()
    }

    fn done(&self, arguments: &[&str]) -> Ran {
        let ran = self.proxy.run(arguments);
        assert_eq!(ran.code, 0, "{arguments:?}: {ran:?}");
        ran
    }
}

/// Before: what a freeze would meet, and what it would refuse.
fn before(shop: &Shop, web: &mut Wire) {
    let found = shop.done(&["preflight"]).out;
    assert!(found.contains("nothing keeps a window from beginning"), "{found}");
    let rehearsal = shop.proxy.verb(&["rehearse", "--for", "1s"]).stdout(Stdio::piped()).spawn().unwrap();
    assert_eq!(web.ask(ORDER), "C I", "a rehearsal refuses nothing");
    let told = Ran::of(&rehearsal.wait_with_output().unwrap()).out;
    assert!(told.contains("would be refused: application \"web\""), "{told}");
}

/// The gate shuts while an order is being written: it may go on, and is waited for.
fn freeze(shop: &Shop, web: &mut Wire, cron: &mut Wire) {
    assert_eq!((web.ask("BEGIN").as_str(), web.ask(ORDER).as_str()), ("C T", "C T"));
    let mut freeze =
        shop.proxy.verb(&["freeze", "--reason", "add currency", "--by", "ann", "--until", "45m"]);
    let freeze = freeze.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    shop.proxy.is_eventually("draining");
    assert_eq!(cron.ask(ORDER), "E25006 I");
    assert_eq!((web.ask(ORDER).as_str(), web.ask("COMMIT").as_str()), ("C T", "C I"));
    let ran = Ran::of(&freeze.wait_with_output().unwrap());
    assert!(ran.code == 0 && ran.out.contains("frozen (epoch 1)"), "{ran:?}");
    assert_eq!(web.ask(ORDER), "E25006 I");
    let report = shop.done(&["verify", "--for", "300ms", "--json"]).json();
    assert_eq!(report["quiet"], "verified", "{report}");
}

/// A stage in which the old application meets the new schema fails, and all are frozen again.
fn fail_a_stage(shop: &Shop, web: &mut Wire) {
    let reopening = shop.proxy.verb(&["reopen", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    eventually("the stage of the old application", || (web.ask(ORDER) == "E42703 I").then_some(()));
    for _ in 0..2 {
        assert_eq!(web.ask(ORDER), "E42703 I");
    }
    let ran = Ran::of(&reopening.wait_with_output().unwrap());
    assert_eq!((ran.code, &ran.json()["phase"]), (1, &"failed".into()), "{ran:?}");
    shop.proxy.is_eventually("frozen");
    assert_eq!(web.ask(ORDER), "E25006 I");
}

#[test]
fn a_whole_window_with_a_migration_goes_from_preflight_to_report_though_a_stage_fails() {
    let shop = Shop::open();
    let (mut web, mut cron) = (shop.client("web"), shop.client("cron"));
    before(&shop, &mut web);
    freeze(&shop, &mut web, &mut cron);
    let orders = shop.orders();
    assert_eq!(orders, 1003, "what had begun was let through, and nothing after it");

    shop.migrate(MIGRATION);
    assert_eq!(web.value("SELECT count(*) FROM orders WHERE currency = 'CHF'"), "1003", "reads go on");
    let report = shop.done(&["verify", "--for", "300ms", "--json"]).json();
    assert_eq!(report["quiet"], "verified", "the maintenance listener's writes are no violation: {report}");
    assert_eq!(shop.proxy.run(&["thaw"]).code, 4, "not before the smoke test");
    assert!(shop.done(&["smoke"]).out.contains("passed"));

    fail_a_stage(&shop, &mut web);
    assert_eq!(shop.orders(), orders);
    shop.migrate(MENDED);
    let ran = shop.done(&["reopen"]);
    assert!(ran.out.contains("all 3 stages passed"), "{ran:?}");
    assert_eq!((web.ask(ORDER).as_str(), cron.ask(ORDER).as_str()), ("C I", "C I"));
    assert_eq!((shop.orders(), shop.proxy.state().as_str()), (orders + 2, "open"));
    told(&shop);
}

/// All of it is in the report.
fn told(shop: &Shop) {
    let record = shop.done(&["report", "--json"]).json();
    assert_eq!((&record["by"], &record["reason"]), (&"ann".into(), &"add currency".into()));
    assert!(record["until"].is_string() && record["ended_at"].is_string(), "{record}");
    let events: Vec<&str> =
        record["events"].as_array().unwrap().iter().map(|event| event["event"].as_str().unwrap()).collect();
    let at = |name: &str| {
        events.iter().position(|event| *event == name).unwrap_or_else(|| panic!("{name}: {events:?}"))
    };
    let order =
        ["freeze", "frozen", "quiet", "smoke", "stage_opened", "stage_passed", "stage_failed"].map(at);
    assert!(order.is_sorted(), "{events:?}");
    let refused = record["refusals"].as_array().unwrap();
    let by = |application: &str| refused.iter().find(|line| line["application"] == application).cloned();
    for application in ["web", "cron"] {
        let line = by(application).unwrap_or_else(|| panic!("{application}: {refused:?}"));
        assert_eq!((&line["command"], &line["tables"]), (&"INSERT".into(), &serde_json::json!(["orders"])));
    }
    assert_eq!(record["smokes"][0]["problem"], Value::Null);
    let text = shop.done(&["report"]).out;
    assert!(text.contains("# Window 1: add currency") && text.contains("**stage_failed**"), "{text}");
}

/// The lines of the runbook's code blocks, as they stand.
fn runbook() -> Vec<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let section = text.split("\n## Runbook\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let blocks = section.split("```").skip(1).step_by(2);
    let lines = blocks.flat_map(|block| block.strip_prefix("sh\n").unwrap().lines());
    lines.filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
}

#[test]
fn each_command_of_the_readmes_runbook_does_what_it_is_there_for() {
    let shop = Shop::open();
    let folder = shop.proxy.folder.path();
    fs::create_dir(folder.join("bin")).unwrap();
    symlink(binary(), folder.join("bin/frostgate")).unwrap();
    fs::write(folder.join("migration.sql"), MIGRATION).unwrap();
    fs::write(folder.join("back.sql"), BACK).unwrap();
    let path = format!("{}:{}", folder.join("bin").display(), std::env::var("PATH").unwrap());
    let mut states = Vec::new();
    let lines = runbook();
    for line in &lines {
        // What is another one here: where it all is, and how long one cares to wait.
        let command = line
            .replace("/run/frostgate/maintenance", folder.to_str().unwrap())
            .replace("-p 6440", &format!("-p {}", shop.proxy.port))
            .replace("--for 10m", "--for 1s")
            .replace("--for 10s", "--for 300ms");
        let mut shell = Command::new("sh");
        shell.args(["-c", &command]).current_dir(folder).env("PATH", &path).env("PGPORT", "1");
        let ran = Ran::of(
            &shell.env("FROSTGATE_CONTROL", shop.proxy.control()).stdin(Stdio::null()).output().unwrap(),
        );
        assert_eq!(ran.code, 0, "{line}: {ran:?}");
        states.push((line.as_str(), shop.proxy.state()));
    }
    assert!(lines.len() > 10, "{lines:?}");
    let after = |front: &str| &states.iter().find(|(line, _)| line.starts_with(front)).unwrap().1;
    for (front, state) in [
        ("frostgate rehearse", "open"),
        ("frostgate freeze", "frozen"),
        ("psql -h /run/frostgate/maintenance", "frozen"),
        ("frostgate smoke", "frozen"),
        ("frostgate reopen", "open"),
        ("frostgate thaw", "open"),
    ] {
        assert_eq!(after(front), state, "{front}: {states:?}");
    }
    assert_eq!(shop.proxy.audit("freeze").len(), 2, "the window, and the way back");
    let report = fs::read_to_string(folder.join("window.md")).unwrap();
    assert!(report.starts_with("# Window 1: add currency"), "{report}");
}
