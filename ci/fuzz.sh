#!/bin/sh
# Runs every fuzz target of the project for a while, as many at a time as there are
# processors: fuzz.sh [TIME] [GO]. Targets are found by their names. One that fails
# leaves its input in the package's testdata/fuzz, to be committed with the fix.
set -eu
cd "$(dirname "$0")/.."
time=${1:-2s}
go=${2:-go}

targets=$(git ls-files --cached --others --exclude-standard -- '*_test.go' | sort | while read -r file; do
	[ ! -f "$file" ] || sed -n "s|^func \(Fuzz[A-Za-z0-9_]*\)(f \*testing\.F) {\$|./$(dirname "$file") \1|p" "$file"
done)
if [ -z "$targets" ]; then
	echo "fuzz.sh: no fuzz targets were found" >&2
	exit 1
fi
# Minimizing what is merely interesting would take longer than a target has. Go may
# take the end of the time itself for a failure: one that has no input and says
# nothing but that is fuzzed again from the beginning.
echo "$targets" | xargs -n 2 -P "$(getconf _NPROCESSORS_ONLN)" sh -c '
	for attempt in 1 2 3 4 5; do
		if out=$("$1" test -run "^$" -parallel 1 -fuzz "^$4\$" -fuzztime "$2" -fuzzminimizetime 10x "$3" 2>&1); then
			echo "ok	$3 $4	$(echo "$out" | sed -n "s/^fuzz: elapsed: .*\(execs: [0-9]*\).*/\1/p" | tail -n 1)"
			exit 0
		fi
		case $out in
		*"Failing input written"* | *panic* | *"Error Trace"*) break ;;
		*"    context deadline exceeded"*) ;;
		*) break ;;
		esac
	done
	echo "FAIL	$3 $4"
	echo "$out"
	exit 1
' fuzz.sh "$go" "$time"
echo "$(echo "$targets" | wc -l) fuzz targets, $time each"
