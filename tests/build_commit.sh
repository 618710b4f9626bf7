#!/usr/bin/env bash
# build_commit.sh <commit>: builds the release binary `frontdesk` of a commit, and prints its path.
#
# The commit is checked out and built in target/commits/<commit>, which is kept for the next use of the same commit.
set -euo pipefail
cd "$(dirname "$0")/.."

commit=$(git rev-parse --verify --quiet "$1^{commit}") || { echo "build_commit.sh: $1 is no commit of this repository" >&2; exit 2; }
folder=$(realpath --canonicalize-missing "${CARGO_TARGET_DIR:-target}")/commits/$commit

if [ ! -e "$folder/source/Cargo.toml" ]; then
    mkdir -p "$folder"
    git worktree prune
    git worktree add --force --detach "$folder/source" "$commit" >&2
fi
# From within the folder, so that the commit's own .cargo/config.toml counts.
(cd "$folder/source" && CARGO_TARGET_DIR=$folder/target cargo build --release --locked --package frontdesk --bin frontdesk >&2)
echo "$folder/target/release/frontdesk"
