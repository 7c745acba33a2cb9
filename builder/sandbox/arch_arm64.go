package sandbox

import specs "github.com/opencontainers/runtime-spec/specs-go"

func nativeCalls() []specs.Arch { return []specs.Arch{specs.ArchAARCH64, specs.ArchARM} }
