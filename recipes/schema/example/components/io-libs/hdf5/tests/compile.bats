@test 'two programs write one file' { true; }
