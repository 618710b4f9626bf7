#!/usr/bin/env bash
# upgrade.sh <commit> [<argument of frontdesk-chaos>...]: upgrades from the release build of a commit to that of this tree, and back.
#
# The release builds of this tree must be in target/release (`make release-with-kill-points`).
set -euo pipefail
cd "$(dirname "$0")/../.."

if [ $# -eq 0 ] || [ -z "$1" ]; then
    echo "usage: make upgrade-test BASE=<commit> [SIZE=smoke|short|full] [SEED=<number>] [ONLY=R16_upgrade,R16_upgrade_sqlite]" >&2
    exit 2
fi
base=$1
shift

chaos=$(realpath "${CARGO_TARGET_DIR:-target}")/release/frontdesk-chaos
[ -x "$chaos" ] || { echo "upgrade.sh: $chaos does not exist; run: make release-with-kill-points" >&2; exit 2; }
older=$(tests/build_commit.sh "$base")

echo "older: $(git log -1 --format='%h %s' "$base")"
echo "present: $(git log -1 --format='%h %s')$(git diff --quiet HEAD || echo ', with uncommitted changes')"
exec "$chaos" --older-binary "$older" "$@"
