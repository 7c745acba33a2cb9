# Modules of OpenHPC for csh and tcsh.

setenv LMOD_PKG @LMOD@
if ( ! $?MODULEPATH ) then
    setenv MODULEPATH /opt/ohpc/pub/modulefiles
else if ( ":${MODULEPATH}:" !~ *:/opt/ohpc/pub/modulefiles:* ) then
    setenv MODULEPATH "/opt/ohpc/pub/modulefiles:${MODULEPATH}"
endif
source "$LMOD_PKG/init/csh"
