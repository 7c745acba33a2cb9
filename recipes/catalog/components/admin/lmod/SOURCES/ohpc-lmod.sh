# Modules of OpenHPC for bash, zsh, ksh and sh, in login shells and wherever a
# script sources this file. Sourcing it twice changes nothing.

export LMOD_PKG=@LMOD@
case ":${MODULEPATH:-}:" in
*:/opt/ohpc/pub/modulefiles:*) ;;
*) export MODULEPATH="/opt/ohpc/pub/modulefiles${MODULEPATH:+:$MODULEPATH}" ;;
esac
export LMOD_SETTARG_CMD="${LMOD_SETTARG_CMD:-:}"

if [ -n "${BASH_VERSION:-}" ]; then
    # Scripts started from here find the module command as well.
    export BASH_ENV="$LMOD_PKG/init/bash"
    . "$LMOD_PKG/init/bash"
elif [ -n "${ZSH_VERSION:-}" ]; then
    . "$LMOD_PKG/init/zsh"
elif [ -n "${KSH_VERSION:-}" ]; then
    . "$LMOD_PKG/init/ksh"
else
    . "$LMOD_PKG/init/sh"
fi
