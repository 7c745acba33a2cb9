# Runs in a foreign root, once with the native tool chain and once without. What
# it prints, and what it leaves in out/, has to be the same.
set -e
mkdir out
cd out
cp ../a.c ../b.cc ../c.f90 .

uname -m
arch
bash -c 'echo $HOSTTYPE $MACHTYPE'
printf 'all:\n\t@echo $(MAKE_HOST)\n' | make -s -f -
for question in -v -dumpmachine -dumpversion -print-search-dirs -print-sysroot -print-prog-name=ld \
	-print-libgcc-file-name --version; do
	gcc $question 2>&1 | sed '/^COLLECT_GCC=/d'
done
for error in -V -version -qversion "-V x.c" "-qversion -c"; do
	for compiler in gcc g++ gfortran; do
		$compiler $error 2>&1 && echo "no error"
		LIBRARY_PATH=/x $compiler $error 2>&1 && echo "no error"
		echo $?
	done
done
echo | gcc -E -v - 2>&1 | sed '/^COLLECT_GCC=/d'
echo | g++ -x c++ -E -v - 2>&1 | sed '/^COLLECT_GCC=/d'
gcc 2>&1 || echo failed

gcc -O2 -g -c a.c -o c.o
gcc -O2 -fstack-protector-strong -c a.c -o protected.o
gcc -O2 -g -Wp,-D_FORTIFY_SOURCE=2 -c a.c -o fortified.o
gcc -O2 -E -dD a.c -o a.i
gcc -O2 -c -fpreprocessed a.i -o preprocessed.o
printf '#include <errno.h>\n.data\n.long ENOENT\n' > s.S
gcc -g -c s.S -o assembler.o
gcc -O2 -fopenmp -fPIC -pipe -march=armv8.2-a+sve -c a.c -o sve.o 2>/dev/null || gcc -O2 -fPIC -mavx2 -c a.c -o avx.o
g++ -O2 -g -D_GLIBCXX_ASSERTIONS -c b.cc -o c++.o
gfortran -O2 -g -fopenmp -c c.f90 -o fortran.o

gcc c.o -lm -o c.exe
gcc -static c.o -lm -o static.exe
gcc -shared -fPIC -O2 a.c -lm -o liba.so
g++ c++.o -o c++.exe
gfortran -fopenmp fortran.o -o fortran.exe
gcc -fuse-ld=gold c.o -lm -o gold.exe
gcc -frandom-seed=a -O2 -flto -ffat-lto-objects -c a.c -o fat.o
gcc -O2 -flto fat.o -lm -o lto.exe
for program in c static c++ fortran gold lto; do
	./$program.exe
done

# A library that needs another one, found as modules make it found.
mkdir x y
echo 'int x(void) { return 0; }' | gcc -shared -fPIC -x c - -o x/libx.so
echo 'int x(void); int y(void) { return x(); }' | gcc -shared -fPIC -x c - -Lx -lx -o y/liby.so
echo 'int y(void); int main(void) { return y(); }' > main.c
! gcc main.c -Ly -ly -o not.exe 2> /dev/null
LD_LIBRARY_PATH=$PWD/x gcc main.c -Ly -ly -o found.exe
LD_RUN_PATH=$PWD/x gcc main.c -Ly -ly -o run.exe
LIBRARY_PATH=$PWD/y:$PWD/x gcc main.c -ly -lx -o path.exe
LD_LIBRARY_PATH=$PWD/x:$PWD/y ./found.exe

ar rcD all.a c.o c++.o
mkdir members
(cd members && ar x ../all.a)
strip -o stripped.exe c.exe
objcopy --only-keep-debug c.exe c.debug
mv a.i ..
rm s.S all.a main.c a.c b.cc c.f90 axpys.mod
sha256sum ../a.i
