# `make demo` and `make test` see to all that they need. The others take what is there.

.PHONY: demo test check lint fmt doc fuzz deny

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

# Each fuzz target for a minute: needs a nightly Rust.
fuzz:
	@scripts/fuzz.sh run

# Licences, duplicate crates, sources: needs cargo-deny.
deny:
	cargo deny check licenses bans sources
