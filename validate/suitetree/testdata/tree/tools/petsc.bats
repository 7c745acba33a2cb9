@test "not called for" { false; }
