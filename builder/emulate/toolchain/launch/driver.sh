#!{{.Folder}}/native/bash -p
# The compiler driver. Work is done by the native cross driver with the paths of
# the image's own compiler; questions about the compiler, and what only the own
# driver can answer, go to the own driver. (Of what configure scripts ask, -V,
# -version and -qversion are questions to other compilers, and errors to this one.)
#
# The driver finds the native cc1 without a launcher, as it tells that itself where
# to look for headers, unless something may reach it that the launcher of passes
# (pass.sh) has to look at.
passes={{.Folder}}/passes/{{.Version}}
for arg; do
	case $arg in
	-v | -'###' | --version | -help* | --help* | --target-help | \
		-dump* | -print-* | --print-* | -m*=native | -isysroot* | --sysroot* | @*)
		exec -a "$0" {{.Folder}}/own/{{.Name}} "$@"
		;;
	-Wp,* | -Xpreprocessor | -specs* | --specs* | -wrapper | -fplugin* | \
		-finput-charset* | -fexec-charset* | -fwide-exec-charset*{{range .OwnOptions}} | {{.}}{{end}})
		passes=
		;;
	esac
done
# Drivers heed LIBRARY_PATH only when they are not cross drivers (gcc.cc,
# process_command).
IFS=:
set -f
directories=()
for directory in $LIBRARY_PATH; do
	directories+=("-L${directory:-.}")
done
export GCC_EXEC_PREFIX=/usr/lib/gcc/
if [ -n "$passes" ]; then
	export COMPILER_PATH=${COMPILER_PATH:+$COMPILER_PATH:}$passes
fi
exec -a "$0" {{.Folder}}/native/{{.Name}} "$@" "${directories[@]}"
