# What hwloc says of this machine, and of machines that are only described.

# Modules are loaded once for all: emulated, that takes seconds.
setup_file() {
    . /etc/profile.d/ohpc-lmod.sh
    module load hwloc
}

@test "the module brings commands, library and headers" {
    [ "$(command -v lstopo-no-graphics)" = "$HWLOC_BIN/lstopo-no-graphics" ]
    [ -e "$HWLOC_LIB/libhwloc.so" ]
    [ -e "$HWLOC_INC/hwloc.h" ]
    [[ ":$LD_LIBRARY_PATH:" == *":$HWLOC_LIB:"* ]]
}

@test "the version is the module's" {
    version=$(basename "$(readlink -f /opt/ohpc/pub/modulefiles/hwloc/*)")
    lstopo-no-graphics --version | grep -F "$version"
    PKG_CONFIG_PATH=$HWLOC_LIB/pkgconfig
    grep -x "Version: $version" "$PKG_CONFIG_PATH/hwloc.pc"
}

@test "this machine is found" {
    lstopo-no-graphics --of console | tee /dev/stderr | grep -q '^Machine'
}

@test "there are no more processing units than the kernel has" {
    found=$(hwloc-calc --number-of pu machine:0)
    expected=$(nproc --all)
    echo "hwloc finds $found, the kernel $expected"
    # A container may see fewer than the machine has, never none and never more.
    [ "$found" -ge 1 ]
    [ "$found" -le "$expected" ]
}

@test "every format is written" {
    for format in console ascii xml synthetic; do
        echo "format $format"
        # Not every machine is regular enough to be told as a synthetic one.
        input=()
        [ "$format" != synthetic ] || input=(--input 'node:2 core:2 pu:1')
        lstopo-no-graphics "${input[@]}" --of "$format" > "$BATS_TEST_TMPDIR/$format"
        [ -s "$BATS_TEST_TMPDIR/$format" ]
    done
}

@test "XML is read back as it was written" {
    cd "$BATS_TEST_TMPDIR"
    lstopo-no-graphics --of xml > one.xml
    lstopo-no-graphics --input one.xml --of console > from-xml
    lstopo-no-graphics --input one.xml --of xml > two.xml
    lstopo-no-graphics --input two.xml --of console | diff from-xml -
    grep -q '^Machine' from-xml
}

@test "a described machine has what it was given" {
    machine='node:2 core:4 pu:2'
    [ "$(hwloc-calc --input "$machine" --number-of pu machine:0)" = 16 ]
    [ "$(hwloc-calc --input "$machine" --number-of core node:1)" = 4 ]
    [ "$(hwloc-calc --input "$machine" --intersect pu core:1)" = 2,3 ]
}

@test "a command is bound to a processing unit" {
    run hwloc-bind pu:0 -- hwloc-bind --get
    echo "$output"
    [ "$status" = 0 ]
    [ "$output" = "$(hwloc-calc pu:0)" ]
}

@test "a program links with the library" {
    cd "$BATS_TEST_TMPDIR"
    cat > depth.c <<'EOF'
#include <hwloc.h>
#include <stdio.h>
int main(void)
{
    hwloc_topology_t topology;
    if (hwloc_topology_init(&topology) || hwloc_topology_set_synthetic(topology, "node:2 core:4 pu:2") || hwloc_topology_load(topology))
        return 1;
    printf("%d cores, API %x\n", hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_CORE), hwloc_get_api_version() == HWLOC_API_VERSION);
    hwloc_topology_destroy(topology);
    return 0;
}
EOF
    gcc -o depth depth.c -I"$HWLOC_INC" -L"$HWLOC_LIB" -lhwloc
    [ "$(./depth)" = "8 cores, API 1" ]
}

@test "what is not there is an error" {
    run lstopo-no-graphics --input /nonexistent.xml --of console
    [ "$status" != 0 ]
}
