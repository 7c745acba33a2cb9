#!/bin/sh
# Started in the folder of the spec.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/handbook"
cp ../../../README.md "$work/handbook/README"
tar -cf ../SOURCES/handbook.tar -C "$work" handbook
