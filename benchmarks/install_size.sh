#!/usr/bin/env bash
# Size of a screening installation: a fresh virtual environment, no compiled bytecode. Target: below
# 550 MB by `du -sm`, and no PyTorch in it.
set -euo pipefail
cd "$(dirname "$0")/.."
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check .
echo "$(du -sm "$home/venv" | cut -f1) MB"
"$home/venv/bin/pip" list --disable-pip-version-check 2>/dev/null | grep -iE "^(torch|pandas|lightning) " && exit 1
"$home/venv/bin/osteoscreen" --version
