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
