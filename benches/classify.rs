//! What a classification costs: cold, and from the cache. `AllocProfiler` shows that the judged path allocates nothing.
use std::fmt::{self, Display, Formatter};

use divan::{AllocProfiler, Bencher, counter::BytesCount};
use frostgate::sql::{
    Classification, Classifier, ClientEncoding, Description, Fingerprint, classify, describe, fingerprint,
};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

const SELECT: &str = "SELECT abalance FROM pgbench_accounts WHERE aid = 48213;";
const UPDATE: &str = "UPDATE pgbench_accounts SET abalance = abalance + -2817 WHERE aid = 48213;";
const INSERT: &str = "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (7, 1, 48213, -2817, CURRENT_TIMESTAMP);";
const ORM: &str = "SELECT \"shop_order\".\"id\", \"shop_order\".\"customer_id\", \"shop_order\".\"total\" \
    FROM \"shop_order\" INNER JOIN \"shop_customer\" ON (\"shop_order\".\"customer_id\" = \"shop_customer\".\"id\") \
    WHERE \"shop_customer\".\"email\" = $1 LIMIT 21";

/// As an object mapper writes it: every column of two tables, by its full name.
fn wide() -> String {
    let columns: Vec<String> =
        (0..42).map(|n| format!("\"catalogue_product\".\"attribute_{n:02}\"")).collect();
    format!(
        "SELECT {} FROM \"catalogue_product\" WHERE \"catalogue_product\".\"category_id\" IN ($1, $2, $3) ORDER BY 1",
        columns.join(", ")
    )
}

fn list(bytes: usize) -> String {
    let mut text = "SELECT * FROM t WHERE id IN (0".to_owned();
    while text.len() < bytes - 8 {
        text.push_str(", 123456");
    }
    text + ")"
}

/// A statement and what it is called here.
struct Named(&'static str, &'static str);

impl Display for Named {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        to.write_str(self.0)
    }
}

const STATEMENTS: &[Named] = &[
    Named("health check", "SELECT 1"),
    Named("begin", "BEGIN"),
    Named("pgbench select", SELECT),
    Named("pgbench update", UPDATE),
    Named("pgbench insert", INSERT),
    Named("object mapper", ORM),
];

#[divan::bench(args = STATEMENTS)]
fn cold(text: &Named) -> Classification {
    classify(divan::black_box(text.1.as_bytes()), ClientEncoding::Safe)
}

#[divan::bench(args = STATEMENTS)]
fn cached(bencher: Bencher<'_, '_>, text: &Named) {
    let mut cache = Classifier::new(1);
    bencher.bench_local(|| cache.classify(divan::black_box(text.1.as_bytes()), ClientEncoding::Safe));
}

#[divan::bench]
fn wide_select_cold(bencher: Bencher<'_, '_>) {
    let text = wide();
    bencher
        .counter(BytesCount::new(text.len()))
        .bench(|| classify(divan::black_box(text.as_bytes()), ClientEncoding::Safe));
}

#[divan::bench]
fn wide_select_cached(bencher: Bencher<'_, '_>) {
    let (text, mut cache) = (wide(), Classifier::new(1));
    bencher
        .counter(BytesCount::new(text.len()))
        .bench_local(|| cache.classify(divan::black_box(text.as_bytes()), ClientEncoding::Safe));
}

#[divan::bench(args = [1 << 17, 1 << 18, 1 << 19, 1 << 20])]
fn in_list(bencher: Bencher<'_, '_>, bytes: usize) {
    let text = list(bytes);
    bencher
        .counter(BytesCount::new(text.len()))
        .bench(|| classify(divan::black_box(text.as_bytes()), ClientEncoding::Safe));
}

#[divan::bench]
fn a_million_parentheses(bencher: Bencher<'_, '_>) {
    let text = format!("SELECT {}", "(".repeat(1_000_000));
    bencher.bench(|| classify(divan::black_box(text.as_bytes()), ClientEncoding::Safe));
}

#[divan::bench]
fn uncertain_encoding(bencher: Bencher<'_, '_>) {
    let text = "SELECT name FROM città WHERE note = 'größer' AND id = 7";
    bencher.bench(|| classify(divan::black_box(text.as_bytes()), ClientEncoding::Uncertain));
}

#[divan::bench(args = STATEMENTS)]
fn shape(text: &Named) -> Fingerprint {
    fingerprint(divan::black_box(text.1.as_bytes()))
}

#[divan::bench(args = STATEMENTS)]
fn description(text: &Named) -> Description {
    describe(divan::black_box(text.1.as_bytes()))
}
