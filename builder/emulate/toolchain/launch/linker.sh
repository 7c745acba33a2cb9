#!{{.Folder}}/native/bash -p
# The linker. Only a native linker looks in LD_RUN_PATH and LD_LIBRARY_PATH for
# what libraries need (ldelf.c, ldelf_after_open).
run_path=$LD_RUN_PATH
for arg; do
	case $arg in
	-rpath* | --rpath* | -R*)
		run_path=
		;;
	esac
done
exec -a "$0" {{.Folder}}/native/{{.Name}} "$@" \
	${run_path:+-rpath-link "$run_path"} ${LD_LIBRARY_PATH:+-rpath-link "$LD_LIBRARY_PATH"}
