#!/usr/bin/env bash
# compare.sh <commit> [<argument of frontdesk-bench compare>...]: compares the release build of this tree with that of a commit.
#
# The release build of this tree must be in target/release (`make release`). The exit code is 1 if the median ratio of P1 is below
# 0.95.
set -euo pipefail
cd "$(dirname "$0")/../.."

if [ $# -eq 0 ] || [ -z "$1" ]; then
    echo "usage: make bench-compare BASE=<commit> [ROWS=P1,P1_256,P1a,P2] [PAIRS=<number>] [SECONDS_EACH=<seconds>]" >&2
    exit 2
fi
commit=$1
shift

bench=$(realpath "${CARGO_TARGET_DIR:-target}")/release/frontdesk-bench
[ -x "$bench" ] || { echo "compare.sh: $bench does not exist; run: make release" >&2; exit 2; }
base=$(tests/build_commit.sh "$commit")

echo "base: $(git log -1 --format='%h %s' "$commit")"
echo "current: $(git log -1 --format='%h %s')$(git diff --quiet HEAD || echo ', with uncommitted changes')"
exec "$bench" compare --base "$base" "$@"
