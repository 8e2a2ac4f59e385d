#!/usr/bin/env bash
# Everything that must pass, in the order of what fails fastest.
# KEFU_REQUIRE_SERVICES=1 (set by .ci/run) turns a missing PostgreSQL or Redis from a skip into a failure.
set -euo pipefail
cd "$(dirname "$0")/.."
export RASA_TELEMETRY_ENABLED=false SQLALCHEMY_SILENCE_UBER_WARNING=1

now=
step() {
  now=$1
  printf '\n\033[1m== %s\033[0m\n' "$1"
  shift
  local started=$SECONDS
  "$@"
  printf '%s: %s s\n' "$now" "$((SECONDS - started))"
}
trap 'code=$?; [ $code = 0 ] || printf "\n\033[31mfailed: %s\033[0m\n" "$now" >&2' EXIT

step "ruff check" .venv/bin/ruff check .
step "ruff format" .venv/bin/ruff format --check .
step "import contracts" .venv/bin/lint-imports
step "mypy" .venv/bin/mypy
step "train" .venv/bin/kefu train
step "conversations" .venv/bin/kefu test
# What stands alone runs on all cores, with one worker more, because many tests wait. What starts the programs runs
# after it, one by one, and beside it what drives a browser or uses a service. A test that fails is tried once
# more, because two noisy cores can be late; it is reported as rerun, and failing twice is a failure.
rerun=(--reruns 1 --reruns-delay 2 -rR)
# Counting lines costs minutes, so only `make coverage` does it.
count=() append=()
if [ -n "${KEFU_COVERAGE:-}" ]; then
  count=(--cov --cov-report=) append=(--cov --cov-append --cov-report=term:skip-covered)
fi
workers=$(($(nproc) + 1))
step "tests" .venv/bin/python -m pytest -q -n $((workers < 8 ? workers : 8)) --dist loadfile "${rerun[@]}" "${count[@]}" \
  -m "not e2e and not browser and not services" "$@"
scripts/browser.sh
step "end to end" .venv/bin/python -m pytest -q -n 2 --dist loadgroup "${rerun[@]}" "${append[@]}" \
  -m "e2e or browser or services" --durations=15 "$@"
printf '\n\033[32mall passed in %s s\033[0m\n' "$SECONDS"
