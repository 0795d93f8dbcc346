#!/bin/sh
# Make .venv with exactly what uv.lock names, on a machine that has nothing but Python >= 3.11.
#
# .tools holds a small environment of its own with a pinned uv, fetched by pip. A package mirror is taken from the
# environment (UV_DEFAULT_INDEX, UV_INDEX_URL or pip's own settings) and never written into a file here.
set -eu
cd "$(dirname "$0")/.."

UV_VERSION=0.13.9

say() { printf '%s\n' "$*" >&2; }

find_python() {
    for name in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    say "Hansa needs Python 3.11 or newer, and none was found. Install it, or name it: make setup PYTHON=/path/to/python3"
    exit 1
}

make_tools() {
    if "$python" -m venv .tools >/dev/null 2>&1; then
        return
    fi
    rm -rf .tools
    # Debian keeps the part of Python that makes environments in a package of its own.
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "Installing python3-venv ..."
        apt-get -qq update >/dev/null
        DEBIAN_FRONTEND=noninteractive apt-get -qq install -y python3-venv </dev/null >/dev/null
        "$python" -m venv .tools
        return
    fi
    say "Python cannot make environments here. On Debian or Ubuntu: sudo apt-get install python3-venv"
    exit 1
}

python=$(find_python)

if [ "$(.tools/bin/uv --version 2>/dev/null | cut -d' ' -f2)" != "$UV_VERSION" ]; then
    say "Fetching uv $UV_VERSION ..."
    rm -rf .tools
    make_tools
    .tools/bin/python -m pip install --quiet --disable-pip-version-check "uv==$UV_VERSION"
fi

# What pip was told about the network, uv is told too.
pip_setting() { .tools/bin/python -m pip config list 2>/dev/null | sed -n "s/^global\.$1='\(.*\)'\$/\1/p"; }
index=${UV_DEFAULT_INDEX:-${UV_INDEX_URL:-${PIP_INDEX_URL:-$(pip_setting index-url)}}}
certificates=${SSL_CERT_FILE:-${PIP_CERT:-$(pip_setting cert)}}
for bundle in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt; do
    # The machine's own list has what its keeper added to it.
    if [ -z "$certificates" ] && [ -f "$bundle" ]; then certificates=$bundle; fi
done
if [ -n "$certificates" ]; then export SSL_CERT_FILE="$certificates"; fi
if [ -n "${PIP_TRUSTED_HOST:-}" ]; then export UV_INSECURE_HOST="${UV_INSECURE_HOST:-$PIP_TRUSTED_HOST}"; fi
if [ -n "${PIP_DEFAULT_TIMEOUT:-}" ]; then export UV_HTTP_TIMEOUT="${UV_HTTP_TIMEOUT:-$PIP_DEFAULT_TIMEOUT}"; fi
export UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=1

say "Installing Hansa's packages ..."
if [ -z "$index" ]; then
    .tools/bin/uv sync --quiet --frozen --python "$python"
else
    # The lock file names the public index, so with a mirror we hand uv the same versions and hashes without it.
    unset UV_INDEX_URL
    export UV_DEFAULT_INDEX="$index"
    [ -x .venv/bin/python ] || .tools/bin/uv venv --quiet --python "$python" .venv
    .tools/bin/uv export --quiet --frozen --no-emit-project --no-annotate --output-file .tools/requirements.txt >/dev/null
    .tools/bin/uv pip sync --quiet --python .venv/bin/python --require-hashes .tools/requirements.txt
    .tools/bin/uv pip install --quiet --python .venv/bin/python --no-deps --editable .
fi
