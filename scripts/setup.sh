#!/usr/bin/env bash
# Makes .venv: Python 3.11 with everything Kefu needs, pinned by constraints.txt.
# Says in one line what is missing and what to do. Safe to run again, and after an interruption.
#
# KEFU_TORCH=cpu|auto|cu128|... chooses the build of torch (uv's --torch-backend); auto takes
# the CPU build on a machine without a graphics card, so that nobody downloads CUDA for nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\033[36msetup\033[0m     | %s\n' "$*"; }
die() { printf '\033[31msetup\033[0m     | %s\n' "$*" >&2; exit 1; }
started=$SECONDS

command -v python3 >/dev/null || die "python3 is missing. Remedy: install it, for example: sudo apt-get install python3"

free_mb=$(df -Pm . | awk 'NR==2 {print $4}')
if [ ! -d .venv ] && [ "$free_mb" -lt "${KEFU_SETUP_MB:-6144}" ]; then
  die "Only ${free_mb} MB are free in $PWD; Kefu needs about 6 GB. Remedy: free some space or clone to another disk."
fi

# 1) uv, the installer: the one on the PATH, else a private copy.
uv=$(command -v uv || true)
if [ -z "$uv" ]; then
  uv=.cache/uv/bin/uv
  if ! "$uv" --version >/dev/null 2>&1; then
    say "fetching the installer (uv)"
    rm -rf .cache/uv && mkdir -p .cache
    if ! python3 -m venv .cache/uv >/dev/null 2>&1; then
      rm -rf .cache/uv
      if [ "$(id -u)" = 0 ]; then sudo=; elif sudo -n true 2>/dev/null; then sudo=sudo; else
        die "python3 cannot make virtual environments. Remedy: sudo apt-get install python3-venv"
      fi
      say "python3-venv is missing; installing it with apt-get"
      { $sudo apt-get update -qq && $sudo apt-get install -y -qq python3-venv; } >/dev/null 2>&1 \
        || die "apt-get could not install python3-venv. Remedy: sudo apt-get install python3-venv"
      python3 -m venv .cache/uv
    fi
    .cache/uv/bin/pip install -q --disable-pip-version-check --retries 2 uv 2>.cache/pip.err \
      || die "The package index cannot be reached ($(tail -n1 .cache/pip.err | cut -c1-160)). Remedy: check the network, or pip's index and proxy settings, then run make again."
  fi
fi

# uv does not read pip's configuration; a mirror that is set for pip is meant for us too.
if [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ]; then
  mirror=${PIP_INDEX_URL:-$(python3 -m pip config get global.index-url 2>/dev/null || true)}
  if [ -n "$mirror" ]; then export UV_DEFAULT_INDEX=$mirror; fi
fi
export UV_HTTP_TIMEOUT=${UV_HTTP_TIMEOUT:-120}

# 2) The environment. An interrupted one is continued; one of another Python is made again.
version='import sys; sys.exit(sys.version_info[:2] != (3, 11))'
if [ -d .venv ] && ! .venv/bin/python -c "$version" 2>/dev/null; then
  say "the environment in .venv is not a working Python 3.11; making it again"
  rm -rf .venv
fi
if [ ! -d .venv ]; then
  "$uv" venv -q --python 3.11 .venv \
    || die "Python 3.11 is neither installed nor could it be fetched. Remedy: install python3.11, or check the network."
fi

# PIP_FIND_LINKS is pip's own variable; where it is set, a CPU build of torch may lie there.
torch=()
if [ -n "${PIP_FIND_LINKS:-}" ]; then torch+=(--find-links "$PIP_FIND_LINKS"); fi
if [ -n "${KEFU_TORCH:-}" ]; then
  torch+=(--torch-backend "$KEFU_TORCH")
elif [ -z "${PIP_FIND_LINKS:-}" ]; then
  torch+=(--torch-backend auto)
fi

say "installing packages (about 3 GB; minutes the first time)"
"$uv" pip install --python .venv/bin/python "${torch[@]}" -c constraints.txt -e '.[test,telemetry,scale]' \
  || die "Packages could not be installed. Remedy: read the lines above; most often the network or the disk is the reason. Then run make again: what is there is kept."
touch .venv/.installed
say "ready after $((SECONDS - started)) s"
