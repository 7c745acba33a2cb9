# Only what a reader of the tree looks for in it. Nobody runs it.
skip_combos = ["arm1-impi", "arm1-mvapich2", "arm1-mpich"]
