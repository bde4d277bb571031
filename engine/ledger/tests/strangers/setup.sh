#!/usr/bin/env bash
# Installs the foreign verifiers, pinned, into the directory given. Needs Go, Python 3.11 or later, Node 20 or later.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
to=${1:?usage: setup.sh DIRECTORY}
mkdir -p "$to"
to=$(cd "$to" && pwd)

python3 -m venv "$to/python"
pip=("$to/python/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" -r "$here/requirements.txt"
# These two ask for Python 3.12 in their metadata, but use nothing of it.
"${pip[@]}" --no-deps --ignore-requires-python -r "$here/requirements-aics.txt"

mkdir -p "$to/node"
cp "$here/node/package.json" "$here/node/package-lock.json" "$here/node/verify.mjs" "$to/node/"
npm --prefix "$to/node" ci --silent --no-audit --no-fund

(cd "$here/go" && go build -o "$to/" ./tlogverify ./merklecases)
GOBIN="$to" go install github.com/sigstore/cosign/v3/cmd/cosign@v3.1.3
