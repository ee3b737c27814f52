#!/usr/bin/env bash
# The demo: sees to what it needs, builds frostgate, and plays the story. Arguments go to `frostgate demo`.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh rust cc postgres
echo "building frostgate; the first time takes some minutes" >&2
cargo build --locked --quiet
exec cargo run --locked --quiet -- demo "$@"
