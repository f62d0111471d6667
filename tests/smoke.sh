#!/bin/sh
# Build the wheel, install it into a fresh environment, and use it from an empty folder, as a newcomer would.
# usage: smoke.sh PYTHON BIN   (PYTHON makes the environment, BIN/python builds the wheel)
set -eu
here=$(pwd)
python=$1
bin=$(cd "$2" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$bin/python" -m build --wheel --outdir "$work/dist" "$here"
size=$(cat "$work"/dist/*.whl | wc -c)
test "$size" -lt 26214400 || { echo "the wheel has $size bytes, more than 25 MiB" >&2; exit 1; }
"$python" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet "$work"/dist/*.whl
mkdir "$work/empty"
cd "$work/empty"
export VITAN_CACHE="$work/cache"
vitan="$work/venv/bin/vitan"
"$vitan" --version
"$vitan" list
"$vitan" verify
"$vitan" doctor
export VITAN_OFFLINE=1
"$vitan" run attention attention-maps --model random-S16 --dataset samples --limit 2
"$vitan" demo --figures none
"$vitan" table --against corpus
test -s results/records.csv
find results -name '*.png' | grep -q .
echo "the installed wheel works"
