#!/usr/bin/env bash
# Resolve pyproject.toml into requirements.lock (to run) and requirements-dev.lock (to build and test), with hashes.
# `deploy/lock.sh --upgrade` takes the newest versions; without it, versions that still fit are kept.
set -euo pipefail
cd "$(dirname "$0")/.."

resolve() { # file, comment, extras...
  local file=$1 comment=$2
  shift 2
  .venv/bin/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe \
    --no-header --no-emit-index-url --no-emit-find-links "${upgrade[@]}" "$@" --output-file "$file" pyproject.toml
  printf '%s\n%s\n' "# $comment, exact versions with hashes. Made by \`make lock\`." "$(grep -v '^# .*Made by' "$file")" >"$file.new"
  mv "$file.new" "$file"
}

upgrade=("$@")
resolve requirements.lock "What the optimizer needs to run" --extra build
resolve requirements-dev.lock "What the optimizer needs to run, build and be tested" --extra build --extra dev --extra postgres --extra parquet
