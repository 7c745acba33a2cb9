@test "it runs as the user of tests" { [ "$(id -un)" = ohpc-test ]; }
@test "the package is installed" { rpm --query hwloc-ohpc; }
@test "others are not" { run rpm --query beside-ohpc; [ "$status" = 1 ]; }
@test "a device is found" { skip "there is none"; }
