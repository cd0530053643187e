#!/usr/bin/env bash
# Makes sure that there is a Chromium for the browser tests: on Debian and its kin it is installed when it is missing.
set -euo pipefail

for name in "${CLIPSEARCH_CHROMIUM:-}" chromium chromium-browser google-chrome google-chrome-stable; do
    if [ -n "$name" ] && command -v "$name" > /dev/null; then
        exit 0
    fi
done

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    as_root=(sudo)
fi
if ! command -v apt-get > /dev/null; then
    echo "install Chromium or Chrome with this system's package manager, or name one in CLIPSEARCH_CHROMIUM" >&2
    exit 1
fi
"${as_root[@]}" apt-get update --quiet
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes --no-install-recommends chromium
