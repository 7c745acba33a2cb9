# The module command, in the shells that people and scripts use.

# Modules for the tests, and the command, once for all: emulated, that takes seconds.
setup_file() {
    export modules=$BATS_FILE_TMPDIR/modules
    mkdir -p "$modules"/{probe,red,blue,green,told}
    printf '%s\n' '#%Module1.0' 'setenv PROBE first' 'prepend-path PATH /opt/probe/bin' > "$modules/probe/1.0"
    printf '%s\n' '#%Module1.0' 'setenv PROBE second' > "$modules/probe/2.0"
    printf '%s\n' '#%Module1.0' 'family colour' 'setenv COLOUR red' > "$modules/red/1.0"
    printf '%s\n' '#%Module1.0' 'family colour' 'setenv COLOUR blue' > "$modules/blue/1.0"
    printf '%s\n' '#%Module1.0' 'conflict probe' > "$modules/green/1.0"
    printf '%s\n' '#%Module1.0' 'module-whatis "Name: it is told"' 'setenv TOLD once' > "$modules/told/1.0"
    . /etc/profile.d/ohpc-lmod.sh
    module use "$modules"
}

@test "the modules of OpenHPC are looked at" {
    [[ ":$MODULEPATH:" == *:/opt/ohpc/pub/modulefiles:* ]]
}

@test "avail lists what there is" {
    module --terse avail 2>&1 | tee /dev/stderr | grep -x probe/1.0
    module --terse avail 2>&1 | grep -x probe/2.0
}

@test "load takes the newest version, or the one that is named" {
    module load probe
    [ "$PROBE" = second ]
    module load probe/1.0
    [ "$PROBE" = first ]
    [ "$(module --terse list 2>&1 | grep -c '^probe/')" = 1 ]
}

@test "unload takes everything back" {
    before=$PATH
    module load probe/1.0
    [[ ":$PATH:" == *:/opt/probe/bin:* ]]
    module unload probe
    [ -z "${PROBE:-}" ]
    [ "$PATH" = "$before" ]
}

@test "purge unloads all" {
    module load probe red
    module purge
    [ -z "${PROBE:-}${COLOUR:-}" ]
}

@test "one member of a family replaces another" {
    module load red
    [ "$COLOUR" = red ]
    module load blue
    [ "$COLOUR" = blue ]
    [ "$LMOD_FAMILY_COLOUR" = blue ]
    run module --terse list
    [[ "$output" != *red/1.0* ]]
}

@test "conflicts are refused" {
    module load probe
    run module load green
    echo "$output"
    [ "$status" != 0 ]
}

@test "a module that does not exist is an error" {
    run module load no-such-module
    [ "$status" != 0 ]
    [[ "$output" == *no-such-module* ]]
}

@test "show and whatis tell of a module" {
    module whatis told 2>&1 | grep 'Name: it is told'
    module show told 2>&1 | grep 'TOLD.*once'
}

@test "the command is there in scripts that a shell starts" {
    module load probe/1.0
    bash -c 'module --terse list 2>&1' | grep -x probe/1.0
}

@test "it is there in a shell that is no login shell" {
    env -i PATH="$PATH" HOME="$HOME" bash --noprofile --norc -c ". /etc/profile.d/ohpc-lmod.sh; module use '$modules'; module load probe; echo \$PROBE" | grep -x second
}

@test "it is there in a login shell" {
    env -i PATH="$PATH" HOME="$HOME" bash -l -c "module use '$modules'; module load probe; echo \$PROBE" | grep -x second
}

@test "it is there in tcsh" {
    # tcsh knows an alias only on the lines after it.
    cd "$BATS_TEST_TMPDIR"
    printf '%s\n' 'source /etc/profile.d/ohpc-lmod.csh' "module use $modules" 'module load probe/1.0' 'echo "PROBE is $PROBE in $MODULEPATH"' > probe.csh
    env -u MODULEPATH tcsh -f probe.csh | tee /dev/stderr | grep 'PROBE is first.*/opt/ohpc/pub/modulefiles'
}
