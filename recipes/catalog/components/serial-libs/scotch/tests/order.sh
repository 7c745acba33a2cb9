#!/bin/bash
# A program is compiled with the family's compiler against Scotch, orders the
# graph of a grid, and checks that the ordering is a permutation.
set -e
. /etc/profile.d/ohpc-lmod.sh
module load "${OHPC_COMPILER_FAMILY:-gnu12}" scotch
echo "Scotch is in $SCOTCH_DIR"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > order.c <<'END'
#include <stdio.h>
#include <stdlib.h>
#include <stdint.h>
#include <scotch.h>

#define SIDE 40

/* A grid of SIDE x SIDE vertices, each joined to its neighbours. */
int main(void)
{
    static SCOTCH_Num vertices[SIDE * SIDE + 1], edges[4 * SIDE * SIDE];
    static SCOTCH_Num position[SIDE * SIDE], original[SIDE * SIDE];
    SCOTCH_Num edge = 0, n = SIDE * SIDE, i;
    SCOTCH_Graph graph;
    SCOTCH_Strat strategy;

    for (i = 0; i < n; i++) {
        vertices[i] = edge;
        if (i % SIDE > 0)        edges[edge++] = i - 1;
        if (i % SIDE < SIDE - 1) edges[edge++] = i + 1;
        if (i >= SIDE)           edges[edge++] = i - SIDE;
        if (i < n - SIDE)        edges[edge++] = i + SIDE;
    }
    vertices[n] = edge;

    if (SCOTCH_graphInit(&graph) ||
        SCOTCH_graphBuild(&graph, 0, n, vertices, vertices + 1, NULL, NULL, edge, edges, NULL) ||
        SCOTCH_graphCheck(&graph) ||
        SCOTCH_stratInit(&strategy) ||
        SCOTCH_graphOrder(&graph, &strategy, position, original, NULL, NULL, NULL)) {
        fputs("Scotch refused the graph\n", stderr);
        return 1;
    }
    for (i = 0; i < n; i++) {
        if (position[i] < 0 || position[i] >= n || original[position[i]] != i) {
            fprintf(stderr, "vertex %ld: not a permutation\n", (long) i);
            return 1;
        }
    }
    printf("%ld vertices and %ld edges: the ordering is a permutation\n", (long) n, (long) edge / 2);
    SCOTCH_stratExit(&strategy);
    SCOTCH_graphExit(&graph);
    return 0;
}
END
"$CC" -O2 -I"$SCOTCH_INC" -o order order.c -L"$SCOTCH_LIB" -lscotch -lscotcherr
./order

# The programs work as well.
gmk_m2 10 10 grid.grf
gtst grid.grf - | grep 'Vertex.*nbr=100$'
