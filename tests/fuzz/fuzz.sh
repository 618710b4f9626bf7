#!/usr/bin/env bash
# Runs each test of row S8 under libFuzzer. Usage: fuzz.sh <seconds for each test> [part of the tests' names]
#
# Inputs that reach new code are kept in target/fuzz/corpus/<test>, and an input that fails in target/fuzz/failures.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=$1 name=${2:-s8_}
host=$(rustc -vV | sed -n 's/^host: //p')
# The flags of libFuzzer without a sanitizer: coverage counters and comparisons. --target keeps them from build scripts.
export RUSTFLAGS="--cfg fuzzing --cfg fuzzing_libfuzzer -C passes=sancov-module -C codegen-units=1 -C debug-assertions
  -C llvm-args=-sanitizer-coverage-level=3 -C llvm-args=-sanitizer-coverage-inline-8bit-counters
  -C llvm-args=-sanitizer-coverage-pc-table -C llvm-args=-sanitizer-coverage-trace-compares"
export CARGO_TARGET_DIR=$PWD/target/fuzz CARGO_PROFILE_TEST_OPT_LEVEL=2 CARGO_PROFILE_TEST_DEBUG=line-tables-only
mkdir -p target/fuzz/failures
failed=()
while read -r manifest; do
  package=$(sed -n 's/^name = "\(.*\)"/\1/p' "$manifest")
  kind=--lib
  [ -f "$(dirname "$manifest")/tests/fuzz.rs" ] && kind='--test fuzz'
  for test in $(git grep --only-matching -h "fn s8_\w*" -- "$(dirname "$manifest")" | sed 's/^fn //' | grep -- "$name" || true); do
    corpus=target/fuzz/corpus/$test
    mkdir -p "$corpus"
    echo "== $package $test"
    export BOLERO_LIBFUZZER_ARGS="$PWD/$corpus -max_total_time=$seconds -artifact_prefix=$PWD/target/fuzz/failures/$test- -print_final_stats=1 -verbosity=0"
    cargo test --quiet --target "$host" --package "$package" $kind -- "$test" --nocapture --test-threads 1 2>&1 | sed '/ Recommended dictionary/,/ End of recommended/d' || failed+=("$package $test")
  done
done < <(git grep --files-with-matches '^frontdesk-fuzz.workspace' -- '*Cargo.toml' ':!Cargo.toml')
[ ${#failed[@]} = 0 ] || { printf 'Failed: %s\n' "${failed[@]}"; exit 1; }
