#!/usr/bin/env bash
# The browser the page tests need, when this machine may have it: Debian's and Ubuntu's own Chromium.
# Without it those tests are skipped, and one line here says so. Never fails, never asks for a password.
set -uo pipefail

say() { printf '\033[36mbrowser\033[0m   | %s\n' "$*"; }
found() { command -v "${KEFU_CHROMIUM:-chromium}" || command -v chromium-browser; }

found >/dev/null && exit 0
if ! command -v apt-get >/dev/null; then
  say "Chromium is missing: the page tests are skipped. Remedy: install Chromium and set KEFU_CHROMIUM to its path."
  exit 0
fi
if [ "$(id -u)" = 0 ]; then sudo=; elif sudo -n true 2>/dev/null; then sudo="sudo -n"; else
  say "Chromium is missing: the page tests are skipped. Remedy: sudo apt-get install chromium"
  exit 0
fi
say "Chromium is missing; installing it with apt-get"
export DEBIAN_FRONTEND=noninteractive
{ timeout 120 $sudo apt-get update -qq && timeout 300 $sudo apt-get install -y -qq --no-install-recommends chromium; } >/dev/null 2>&1 \
  && found >/dev/null \
  || say "apt-get could not install Chromium: the page tests are skipped. Remedy: sudo apt-get install chromium"
exit 0
