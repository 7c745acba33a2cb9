# Graphs are ordered, split and checked, by Scotch's own programs and by ones that
# are linked with it, built with the family's compiler.

# Modules are loaded once for all: emulated, that takes seconds.
setup_file() {
    . /etc/profile.d/ohpc-lmod.sh
    module load "${OHPC_COMPILER_FAMILY:-gnu12}" scotch
}

setup() {
    cd "$BATS_TEST_TMPDIR"
}

# The grid of 40 x 40 vertices, each joined to its neighbours, that programs begin with.
grid() {
    cat <<'EOF'
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <scotch.h>
#define SIDE 40
#define N (SIDE * SIDE)
static SCOTCH_Num vertices[N + 1], edges[4 * N];
static int grid(SCOTCH_Graph *graph)
{
    SCOTCH_Num edge = 0, i;
    for (i = 0; i < N; i++) {
        vertices[i] = edge;
        if (i % SIDE > 0)        edges[edge++] = i - 1;
        if (i % SIDE < SIDE - 1) edges[edge++] = i + 1;
        if (i >= SIDE)           edges[edge++] = i - SIDE;
        if (i < N - SIDE)        edges[edge++] = i + SIDE;
    }
    vertices[N] = edge;
    return SCOTCH_graphInit(graph) ||
        SCOTCH_graphBuild(graph, 0, N, vertices, vertices + 1, NULL, NULL, edge, edges, NULL) ||
        SCOTCH_graphCheck(graph);
}
EOF
}

build() {
    "$CC" -O2 -I"$SCOTCH_INC" -o "$1" "$1.c" -L"$SCOTCH_LIB" -lscotch -lscotcherr
}

@test "the module brings programs, libraries and headers" {
    [ "$(command -v gord)" = "$SCOTCH_BIN/gord" ]
    [ -e "$SCOTCH_LIB/libscotch.so" ]
    [ -e "$SCOTCH_LIB/libscotcherr.so" ]
    [ -e "$SCOTCH_INC/scotch.h" ]
    [[ ":$LD_LIBRARY_PATH:" == *":$SCOTCH_LIB:"* ]]
}

@test "it is not there without its compiler" {
    module purge
    run module load scotch
    [ "$status" != 0 ]
}

@test "header, library and module are of one version" {
    version=$(basename "$SCOTCH_DIR")
    cat > version.c <<'EOF'
#include <stdint.h>
#include <stdio.h>
#include <scotch.h>
int main(void)
{
    int version, release, patch;
    SCOTCH_version(&version, &release, &patch);
    printf("%d.%d.%d %d.%d.%d\n", version, release, patch, SCOTCH_VERSION, SCOTCH_RELEASE, SCOTCH_PATCHLEVEL);
    return 0;
}
EOF
    build version
    [ "$(./version)" = "$version $version" ]
}

@test "a program orders a grid, and the order is a permutation" {
    { grid; cat <<'EOF'; } > order.c
int main(void)
{
    static SCOTCH_Num position[N], original[N];
    SCOTCH_Graph graph;
    SCOTCH_Strat strategy;
    SCOTCH_Num i;
    if (grid(&graph) || SCOTCH_stratInit(&strategy) || SCOTCH_graphOrder(&graph, &strategy, position, original, NULL, NULL, NULL))
        return 1;
    for (i = 0; i < N; i++)
        if (position[i] < 0 || position[i] >= N || original[position[i]] != i)
            return 2;
    puts("a permutation");
    SCOTCH_stratExit(&strategy);
    SCOTCH_graphExit(&graph);
    return 0;
}
EOF
    build order
    [ "$(./order)" = "a permutation" ]
}

@test "a program splits a grid into four parts of like size" {
    { grid; cat <<'EOF'; } > part.c
int main(void)
{
    static SCOTCH_Num part[N];
    SCOTCH_Num size[4] = {0}, cut = 0, i, e;
    SCOTCH_Graph graph;
    SCOTCH_Strat strategy;
    if (grid(&graph) || SCOTCH_stratInit(&strategy) || SCOTCH_graphPart(&graph, 4, &strategy, part))
        return 1;
    for (i = 0; i < N; i++) {
        if (part[i] < 0 || part[i] > 3)
            return 2;
        size[part[i]]++;
        for (e = vertices[i]; e < vertices[i + 1]; e++)
            cut += part[edges[e]] != part[i];
    }
    for (i = 0; i < 4; i++)
        if (size[i] < N / 4 * 9 / 10 || size[i] > N / 4 * 11 / 10)
            return 3;
    fprintf(stderr, "%ld edges are cut\n", (long) cut / 2);
    return cut / 2 > 4 * SIDE; /* two straight cuts are 2 * SIDE */
}
EOF
    build part
    ./part
}

@test "a graph that is none is refused" {
    { grid; cat <<'EOF'; } > wrong.c
int main(void)
{
    SCOTCH_Graph graph;
    if (grid(&graph))
        return 1;
    edges[0] = 17; /* whose list does not name it in return */
    return SCOTCH_graphCheck(&graph) ? 0 : 2;
}
EOF
    build wrong
    ./wrong
}

@test "gmk_m2 makes a grid that gtst finds right" {
    gmk_m2 10 10 grid.grf
    gtst grid.grf - | tee /dev/stderr | grep -q 'Vertex.*nbr=100$'
}

@test "gord numbers every vertex once" {
    gmk_m2 8 8 grid.grf
    gord grid.grf order.ord /dev/null
    [ "$(head -n 1 order.ord)" = 64 ]
    [ "$(tail -n +2 order.ord | cut -f 2 | sort -nu | wc -l)" = 64 ]
}

@test "gpart splits a grid in halves" {
    gmk_m2 8 8 grid.grf
    gpart 2 grid.grf halves.map /dev/null
    [ "$(tail -n +2 halves.map | awk '$2 == 0' | wc -l)" = 32 ]
}

@test "gtst refuses what is no graph" {
    echo nonsense > bad.grf
    run gtst bad.grf -
    [ "$status" != 0 ]
}
