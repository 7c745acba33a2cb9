@test "the families are those of the packages" { [ "$COMPILER_FAMILIES" = gnu99 ]; }
@test "this one fails" { echo "the cause"; false; }
