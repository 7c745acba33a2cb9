#!{{.Folder}}/native/bash -p
# rpm asks the kernel which architecture it is on. A library that only its own loader
# knows of answers instead, as what rpm starts must not inherit it.
exec {{.Loader}} --preload {{.Folder}}/native/uname.so --argv0 "$0" {{.Folder}}/native/{{.Name}} "$@"
