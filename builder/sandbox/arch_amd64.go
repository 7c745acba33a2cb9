package sandbox

import specs "github.com/opencontainers/runtime-spec/specs-go"

func nativeCalls() []specs.Arch { return []specs.Arch{specs.ArchX86_64, specs.ArchX86, specs.ArchX32} }
