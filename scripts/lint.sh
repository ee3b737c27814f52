#!/usr/bin/env bash
# What can be said of the code without running it: formatting, clippy, the scripts.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo fmt --all --check
# The product's own code first: there, no arithmetic, cast or slice that could panic.
cargo clippy --locked --lib --bins -- -D warnings
cargo clippy --locked --all-targets -- -D warnings \
    -A clippy::arithmetic_side_effects -A clippy::as_conversions -A clippy::string_slice
scripts=(.ci/run scripts/*.sh)
for script in "${scripts[@]}"; do bash -n "$script"; done
if command -v shellcheck >/dev/null 2>&1; then shellcheck "${scripts[@]}"; fi
if command -v cargo-deny >/dev/null 2>&1; then cargo deny --log-level error check licenses bans sources; fi
# The compose file, by the first that can read it; what it must hold is looked at by tests/documents.rs.
if docker compose version >/dev/null 2>&1; then
    docker compose -f docker-compose.test.yml config --quiet
elif python3 -c 'import yaml' 2>/dev/null; then
    python3 -c 'import sys, yaml; yaml.safe_load(open(sys.argv[1]))' docker-compose.test.yml
elif command -v ruby >/dev/null 2>&1; then
    ruby -ryaml -e 'YAML.safe_load(File.read(ARGV[0]), aliases: true)' docker-compose.test.yml
else
    echo 'lint: docker-compose.test.yml is not parsed: it needs docker, PyYAML or ruby' >&2
fi
