#!/bin/bash
# lstopo-no-graphics prints this machine's topology, and hwloc-info agrees with
# the kernel about the number of processors.
set -e
. /etc/profile.d/ohpc-lmod.sh
module load hwloc
command -v lstopo-no-graphics
lstopo-no-graphics --version | grep -F "$(basename "$(readlink -f /opt/ohpc/pub/modulefiles/hwloc/*)")"

topology=$(lstopo-no-graphics --of console)
echo "$topology"
grep -q '^Machine' <<< "$topology"

found=$(hwloc-calc --number-of pu machine:0)
expected=$(nproc --all)
echo "hwloc finds $found processing units, the kernel $expected"
# A container may see fewer than the machine has, never none and never more.
test "$found" -ge 1
test "$found" -le "$expected"

# The XML that it writes can be read back.
file=$(mktemp)
trap 'rm -f "$file"' EXIT
lstopo-no-graphics --of xml > "$file"
lstopo-no-graphics --input "$file" --of console | grep -q '^Machine'
