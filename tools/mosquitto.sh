#!/bin/sh
# Have Mosquitto for the tests of devices: install Debian's where we may; otherwise those tests are skipped.
set -eu

PATH="$PATH:/usr/sbin:/usr/local/sbin"
if command -v mosquitto >/dev/null; then exit 0; fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing Mosquitto for the tests of devices ..." >&2
    export DEBIAN_FRONTEND=noninteractive
    if apt-get -qq update </dev/null >/dev/null && apt-get -qq install -y mosquitto </dev/null >/dev/null; then
        exit 0
    fi
fi
echo "No Mosquitto here, so the tests of devices are skipped. To run them: sudo apt-get install mosquitto" >&2
