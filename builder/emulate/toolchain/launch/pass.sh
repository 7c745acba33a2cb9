#!{{.Folder}}/native/bash -p
# A compiler proper. Where the cross compiler would look for headers elsewhere
# than the image's own one, it is told otherwise without a trace in what it
# writes. What the two would compile differently goes to the own one.
nostdinc=
for arg; do
	case $arg in
	-v | -version | --version | -help* | --help* | --target-help | @* | -isysroot* | -fplugin* | \
		-finput-charset* | -fexec-charset* | -fwide-exec-charset*{{range .OwnOptions}} | {{.}}{{end}})
		exec -a "$0" {{.Folder}}/own/{{.Name}} "$@"
		;;
	-nostdinc | -nostdinc++)
		nostdinc=yes
		;;
	esac
done
{{- if eq .Pass "cc1plus"}}
if [ -z "$nostdinc" ]; then
	CPLUS_INCLUDE_PATH+=${CPLUS_INCLUDE_PATH:+:}/usr/include/c++/{{.Version}}
	CPLUS_INCLUDE_PATH+=:/usr/include/{{.Triplet}}/c++/{{.Version}}
	CPLUS_INCLUDE_PATH+=:/usr/include/c++/{{.Version}}/backward
	export CPLUS_INCLUDE_PATH
fi
{{- end}}
exec -a "$0" {{.Folder}}/native/{{.Name}} -iprefix /usr/lib/gcc/{{.Triplet}}/{{.Version}}/ "$@"
