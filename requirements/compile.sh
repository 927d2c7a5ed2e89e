#!/bin/sh
# Renew the locks from pyproject.toml and build.in. Arguments go to `uv pip compile`.
# uv lives in .venv-lock, apart from .venv, because it is no part of the product.
set -eu
cd "$(dirname "$0")/.."

uv=.venv-lock/bin/uv
if [ ! -x "$uv" ]; then
    "${PYTHON:-python3}" -m venv .venv-lock
    # `make clean` deletes only what carries this mark.
    touch .venv-lock/.made-by-fermentome-setup
    .venv-lock/bin/pip install --quiet --quiet uv==0.13.8
fi

compile() {
    # One version of each package for all supported Pythons ("fewest"), so that results do not
    # depend on the Python. No index is written: pip uses the one that the machine knows.
    UV_CUSTOM_COMPILE_COMMAND="make lock" "$uv" pip compile --quiet \
        --universal --python-version 3.11 --fork-strategy fewest \
        --generate-hashes --no-emit-index-url --only-binary :all: "$@"
}

compile "$@" requirements/build.in --output-file requirements/build.lock
compile "$@" pyproject.toml --group workflow --group dev \
    --no-binary connection-pool --output-file requirements/venv.lock
