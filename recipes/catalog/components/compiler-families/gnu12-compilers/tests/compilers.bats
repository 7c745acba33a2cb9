# With the module loaded, gcc, g++ and gfortran are the family's, and what they
# compile runs.

# Modules are loaded once for all: emulated, that takes seconds.
setup_file() {
    . /etc/profile.d/ohpc-lmod.sh
    module load gnu12
}

setup() {
    cd "$BATS_TEST_TMPDIR"
}

@test "the module is offered before anything is loaded" {
    module purge
    module --terse avail 2>&1 | grep '^gnu12/'
}

@test "the commands are the family's, and version 12" {
    for command in gcc g++ gfortran; do
        path=$(command -v "$command")
        version=$("$command" -dumpfullversion)
        echo "$command is $path, version $version"
        [[ "$path" == /opt/ohpc/pub/compiler/gcc/12.*/bin/"$command" ]]
        [[ "$version" == 12.* ]]
    done
}

@test "the version is the module's" {
    [ "$(gcc -dumpfullversion)" = "$(basename "$(dirname "$(dirname "$(command -v gcc)")")")" ]
    module --terse list 2>&1 | grep -x "gnu12/$(gcc -dumpfullversion)"
}

@test "CC, CXX, FC and F77 name the compilers" {
    [ "$CC $CXX $FC $F77" = "gcc g++ gfortran gfortran" ]
    [ "$LMOD_FAMILY_COMPILER" = gnu12 ]
}

@test "C compiles and runs" {
    cat > hello.c <<'EOF'
#include <stdio.h>
int main(void) { puts("hello from C"); return 0; }
EOF
    "$CC" -O2 -Wall -Werror -o hello hello.c
    [ "$(./hello)" = "hello from C" ]
}

@test "C++ compiles and runs, exceptions and threads too" {
    cat > hello.cc <<'EOF'
#include <iostream>
#include <stdexcept>
#include <thread>
int main() {
    std::string said;
    std::thread([&] { try { throw std::runtime_error("hello from C++"); } catch (const std::exception &e) { said = e.what(); } }).join();
    std::cout << said << '\n';
}
EOF
    "$CXX" -std=c++20 -O2 -pthread -o hello hello.cc
    [ "$(./hello)" = "hello from C++" ]
}

@test "Fortran compiles and runs" {
    cat > hello.f90 <<'EOF'
module words
  implicit none
contains
  function greeting() result(text)
    character(len=:), allocatable :: text
    text = 'hello from ' // 'Fortran'
  end function
end module
program hello
  use words
  print '(a)', greeting()
end program
EOF
    "$FC" -O2 -o hello hello.f90
    [ "$(./hello)" = "hello from Fortran" ]
}

@test "C and Fortran link into one program" {
    cat > sum.f90 <<'EOF'
function total(values, n) bind(c)
  use iso_c_binding
  integer(c_int), value :: n
  real(c_double) :: values(n), total
  total = sum(values)
end function
EOF
    cat > main.c <<'EOF'
#include <stdio.h>
double total(double *, int);
int main(void) { double v[] = {1, 2, 3.5}; printf("%.1f\n", total(v, 3)); return 0; }
EOF
    "$FC" -c sum.f90
    "$CC" -c main.c
    "$FC" -o both main.o sum.o
    [ "$(./both)" = 6.5 ]
}

@test "OpenMP runs as many threads as it is told, in C" {
    cat > threads.c <<'EOF'
#include <omp.h>
#include <stdio.h>
int main(void)
{
    int n = 0;
#pragma omp parallel reduction(+ : n)
    n += 1;
    printf("%d threads, %d\n", n, _OPENMP >= 201511);
    return 0;
}
EOF
    "$CC" -fopenmp -o threads threads.c
    [ "$(OMP_NUM_THREADS=3 ./threads)" = "3 threads, 1" ]
}

@test "OpenMP runs as many threads as it is told, in Fortran" {
    cat > threads.f90 <<'EOF'
program threads
  use omp_lib
  integer :: n
  n = 0
  !$omp parallel reduction(+ : n)
  n = n + 1
  !$omp end parallel
  print '(i0, a)', n, ' threads'
end program
EOF
    "$FC" -fopenmp -o threads threads.f90
    [ "$(OMP_NUM_THREADS=3 ./threads)" = "3 threads" ]
}

@test "a shared library is made and found" {
    echo 'int answer(void) { return 42; }' > answer.c
    echo 'int answer(void); int main(void) { return answer() == 42 ? 0 : 1; }' > main.c
    "$CC" -shared -fPIC -o libanswer.so answer.c
    "$CC" -o main main.c -L. -lanswer -Wl,-rpath,"$PWD"
    ./main
}

@test "a mistake is an error that names its line" {
    printf 'int main(void)\n{ return nothing; }\n' > wrong.c
    run "$CC" -o wrong wrong.c
    [ "$status" = 1 ]
    [[ "$output" == *"wrong.c:2:10: error:"* ]]
}

@test "unloading leaves nothing behind" {
    module unload gnu12
    [ -z "${CC:-}${CXX:-}${FC:-}${F77:-}" ]
    [[ "$PATH" != */opt/ohpc/pub/compiler/* ]]
    [[ "$MODULEPATH" != */moduledeps/gnu12* ]]
}
