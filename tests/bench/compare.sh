#!/usr/bin/env bash
# compare.sh <commit> [<argument of frontdesk-bench compare>...]: compares the release build of this tree with that of a commit.
#
# The commit is checked out and built in target/bench-compare/<commit>, which is kept for the next comparison. The release build
# of this tree must be in target/release (`make release`). The exit code is 1 if the median ratio of P1 is below 0.95.
set -euo pipefail
cd "$(dirname "$0")/../.."

if [ $# -eq 0 ] || [ -z "$1" ]; then
    echo "usage: make bench-compare BASE=<commit> [ROWS=P1,P1_256,P1a,P2] [PAIRS=<number>] [SECONDS_EACH=<seconds>]" >&2
    exit 2
fi
commit=$(git rev-parse --verify --quiet "$1^{commit}") || { echo "compare.sh: $1 is no commit of this repository" >&2; exit 2; }
shift

target=$(realpath "${CARGO_TARGET_DIR:-target}")
folder=$target/bench-compare/$commit
bench=$target/release/frontdesk-bench
[ -x "$bench" ] || { echo "compare.sh: $bench does not exist; run: make release" >&2; exit 2; }

if [ ! -e "$folder/source/Cargo.toml" ]; then
    mkdir -p "$folder"
    git worktree prune
    git worktree add --force --detach "$folder/source" "$commit"
fi
# From within the folder, so that the commit's own .cargo/config.toml counts.
(cd "$folder/source" && CARGO_TARGET_DIR=$folder/target cargo build --release --locked --package frontdesk --bin frontdesk)

echo "base: $(git log -1 --format='%h %s' "$commit")"
echo "current: $(git log -1 --format='%h %s')$(git diff --quiet HEAD || echo ', with uncommitted changes')"
exec "$bench" compare --base "$folder/target/release/frontdesk" "$@"
