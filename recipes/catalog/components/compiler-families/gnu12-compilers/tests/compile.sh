#!/bin/bash
# With the module loaded, gcc, g++ and gfortran are the family's, and what they
# compile runs.
set -e
. /etc/profile.d/ohpc-lmod.sh
module --terse avail 2>&1 | grep '^gnu12/'
module load gnu12

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

for command in gcc g++ gfortran; do
    path=$(command -v "$command")
    echo "$command is $path, version $("$command" -dumpfullversion)"
    case "$path" in
    /opt/ohpc/pub/compiler/gcc/12.*/bin/*) ;;
    *) echo "$command is not the family's" >&2; exit 1 ;;
    esac
    case "$("$command" -dumpfullversion)" in
    12.*) ;;
    *) echo "$command is not version 12" >&2; exit 1 ;;
    esac
done
test "$CC" = gcc
test "$CXX" = g++
test "$FC" = gfortran

cat > hello.c <<'END'
#include <stdio.h>
int main(void) { puts("hello from C"); return 0; }
END
cat > hello.cc <<'END'
#include <iostream>
#include <vector>
int main() { for (auto word : std::vector<const char *>{"hello", "from", "C++"}) std::cout << word << ' '; std::cout << '\n'; }
END
cat > hello.f90 <<'END'
program hello
  print '(a)', 'hello from Fortran'
end program hello
END
"$CC" -O2 -o c hello.c
"$CXX" -O2 -o cc hello.cc
"$FC" -O2 -o f hello.f90
./c | grep -x 'hello from C'
./cc | grep 'hello from C++'
./f | grep -x 'hello from Fortran'

module unload gnu12
test -z "${CC:-}"
