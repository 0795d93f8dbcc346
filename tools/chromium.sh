#!/bin/sh
# Have Chromium for the browser tests: install Debian's where we may; otherwise those tests are skipped.
set -eu

for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null; then exit 0; fi
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing Chromium for the browser tests ..." >&2
    export DEBIAN_FRONTEND=noninteractive
    if apt-get -qq update </dev/null >/dev/null && apt-get -qq install -y chromium </dev/null >/dev/null; then
        exit 0
    fi
fi
echo "No Chromium here, so the browser tests are skipped. To run them: sudo apt-get install chromium" >&2
