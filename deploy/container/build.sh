#!/usr/bin/env bash
# Builds the image from the last commit's sources: build.sh [arguments of docker buildx build]. `make image` calls it.
#
# The digest of each base is asked of its registry, and the build uses exactly that. OFFLINE=1 takes the tags as this machine knows them.
set -euo pipefail
cd "$(dirname "$0")/../.."
dockerfile=deploy/container/Dockerfile

# The base that the Dockerfile names in this argument, with its digest.
pinned() {
  local base
  base=$(sed -n "s/^ARG $1=//p" "$dockerfile")
  if [ "${OFFLINE:-}" = 1 ] || [[ $base == *@sha256:* ]]; then
    echo "$base"
  else
    echo "$base@$(docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$base")"
  fi
}

build_base=$(pinned BUILD_BASE)
runtime_base=$(pinned RUNTIME_BASE)
echo "Builds with $build_base, for $runtime_base" >&2

seconds=$(git log -1 --format=%ct)
exec docker buildx build \
  --file "$dockerfile" \
  --build-arg "BUILD_BASE=$build_base" \
  --build-arg "RUNTIME_BASE=$runtime_base" \
  --build-arg "SOURCE_DATE_EPOCH=$seconds" \
  --build-arg "VERSION=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml)" \
  --build-arg "REVISION=$(git rev-parse HEAD)" \
  --build-arg "CREATED=$(date --utc --date="@$seconds" +%Y-%m-%dT%H:%M:%SZ)" \
  --build-arg "SOURCE=${SOURCE:-}" \
  "$@" .
