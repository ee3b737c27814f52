# `make demo` and `make test` see to all that they need. The others take what is there.

.PHONY: demo test check lint fmt doc bench torture fuzz matrix drivers regress deny

# The whole story on this machine, in half a minute.
demo:
	@scripts/demo.sh

# Everything that holds the project.
test:
	@scripts/test.sh

# While working: lints and tests, without the demo.
check: lint
	cargo test --locked

lint:
	@scripts/lint.sh

fmt:
	cargo fmt --all

doc:
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps

# Beside a direct connection, PgBouncer and HAProxy, in interleaved rounds: ratios, added latency, CPU, memory.
bench:
	cargo build --locked --release
	bench/bench.py --out target/bench.md

# The instant of the freeze under writers of every style, with kills, for as long as you like:
# make torture SECONDS=600 SEED=1
SECONDS ?= 60
torture:
	FROSTGATE_TORTURE_SECONDS=$(SECONDS) FROSTGATE_TORTURE_SEED=$(SEED) \
		cargo test --locked --test torture -- --nocapture

# Each fuzz target for a minute.
fuzz:
	@scripts/fuzz.sh run

# PostgreSQL 13 to 18 by sslmode and authentication; the servers come from the npm registry.
matrix:
	@scripts/matrix.sh

# Each driver as people use it, directly, through the open proxy, and frozen.
drivers:
	@scripts/drivers.sh

# PostgreSQL's own regression and isolation suites and libpq_pipeline, directly and through the open proxy.
regress:
	@scripts/regress.sh

# Licences, duplicate crates, sources: needs cargo-deny.
deny:
	cargo deny check licenses bans sources
