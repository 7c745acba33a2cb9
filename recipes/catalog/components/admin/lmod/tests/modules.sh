#!/bin/bash
# The module command is there after sourcing the profile, in bash, in a script
# started from it, and in csh; and a module that does not exist is an error.
set -eu

# Lmod's own scripts use variables that may be unset.
set +u
. /etc/profile.d/ohpc-lmod.sh
set -u

case ":$MODULEPATH:" in
*:/opt/ohpc/pub/modulefiles:*) echo "MODULEPATH is $MODULEPATH" ;;
*) echo "MODULEPATH is $MODULEPATH, without /opt/ohpc/pub/modulefiles" >&2; exit 1 ;;
esac

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/probe"
printf '%s\n' '#%Module1.0' 'setenv PROBE loaded' > "$folder/probe/1.0"

set +u
module use "$folder"
module --terse avail 2>&1 | grep -x probe/1.0
module load probe
test "$PROBE" = loaded
bash -c 'module list 2>&1' | grep probe/1.0
module unload probe
test -z "${PROBE:-}"
if module load no-such-module 2>/dev/null; then
    echo "loading a module that does not exist succeeded" >&2
    exit 1
fi
set -u

# tcsh knows an alias only on the lines after it.
cat > "$folder/probe.csh" <<END
source /etc/profile.d/ohpc-lmod.csh
module use $folder
module load probe
echo "in tcsh the probe is \$PROBE, MODULEPATH is \$MODULEPATH"
END
env -u MODULEPATH tcsh -f "$folder/probe.csh" | grep 'the probe is loaded.*/opt/ohpc/pub/modulefiles'
