#!/bin/sh
# Have Mosquitto for devices: install Debian's where we may; otherwise the demonstration and the tests go without.
set -eu

PATH="$PATH:/usr/sbin:/usr/local/sbin"
if command -v mosquitto >/dev/null; then exit 0; fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing Mosquitto, the devices' broker ..." >&2
    export DEBIAN_FRONTEND=noninteractive
    if apt-get -qq update </dev/null >/dev/null && apt-get -qq install -y mosquitto </dev/null >/dev/null; then
        exit 0
    fi
fi
echo "No Mosquitto here, so devices are left out. To have them: sudo apt-get install mosquitto" >&2
