#!/usr/bin/env bash
# nanocheck verify on a bare machine that has a card, in one command, from a checkout of the project:
#
#   benchmarks/verify.sh [OUT] [options of nanocheck verify, such as --gpu h100 or --stand-in]
#
# It takes at most eight minutes, needs neither network nor root, and installs nothing outside a temporary folder
# that it removes. OUT (default: verify) then holds verify.html and verify.json.
#
# What must be there: Linux x86-64; Python 3.11 or newer (PYTHON, default python3) with the CUDA build of torch 2.8
# or newer and numpy; a C compiler, and for the compiled cases Python's headers (python3-dev).
#
# What must be brought, as wheels in a folder (WHEELS, default .whl in the checkout), unless that Python has it:
#   msgspec, pyelftools, rich with markdown-it-py, mdurl and pygments; jinja2 with markupsafe where torch came
#   without them; bitsandbytes, if its case is to be run.
# On a machine with a network:
#   pip download --only-binary :all: --no-deps --python-version 3.12 --platform manylinux2014_x86_64 -d .whl \
#     msgspec pyelftools rich markdown-it-py mdurl pygments
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
out=verify
if [[ $# -gt 0 && $1 != -* ]]; then
  out=$1
  shift
fi
python=${PYTHON:-python3}
wheels=${WHEELS:-$root/.whl}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir "$work/site" "$work/tmp"
if compgen -G "$wheels/*.whl" >/dev/null; then
  "$python" -m pip install --quiet --disable-pip-version-check --no-index --no-deps --no-compile \
    --target "$work/site" "$wheels"/*.whl
fi
# What pip put there comes first, then the checkout: nothing else on the path is trusted to be there.
export PYTHONPATH=$work/site:$root NANOCHECK_CACHE=$work/cache TMPDIR=$work/tmp PYTHONDONTWRITEBYTECODE=1
# Half a minute of the eight is for what comes before the first case and after the last.
"$python" -P -m nanocheck verify --out "$out" --minutes 7.5 "$@"
