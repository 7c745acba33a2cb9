package figure

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// Machine is what a figure means nothing without.
type Machine struct {
	Processor string `json:"processor"`
	Cores     int    `json:"cores"`
	Kernel    string `json:"kernel"`
	RPM       string `json:"rpm"`         // version of the host's
	Program   string `json:"program"`     // version of ours
	Before    string `json:"load_before"` // load averages of 1, 5 and 15 minutes
	After     string `json:"load_after"`
}

// ThisMachine asks the machine, and the program what version it is. What cannot
// be found out is a question mark.
func ThisMachine(ctx context.Context, program string) Machine {
	return Machine{
		Processor: processor(), Cores: runtime.NumCPU(),
		Kernel:  firstLine(os.ReadFile("/proc/sys/kernel/osrelease")),
		RPM:     strings.TrimPrefix(firstLine(exec.CommandContext(ctx, "rpm", "--version").Output()), "RPM version "),
		Program: firstLine(exec.CommandContext(ctx, program, "version").Output()),
		Before:  Load(),
	}
}

// Load is the machine's load averages now.
func Load() string {
	fields := strings.Fields(firstLine(os.ReadFile("/proc/loadavg")))
	return strings.Join(fields[:min(3, len(fields))], " ")
}

func (m Machine) String() string {
	s := fmt.Sprintf("%s, %d cores, Linux %s, rpm %s, %s; load %s", m.Processor, m.Cores, m.Kernel, m.RPM, m.Program, m.Before)
	if m.After != "" {
		s += ", at the end " + m.After
	}
	return s
}

func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
				return strings.TrimSpace(value)
			}
		}
	}
	return runtime.GOARCH
}

func firstLine(text []byte, err error) string {
	line, _, _ := strings.Cut(string(text), "\n")
	if line = strings.TrimSpace(line); err != nil || line == "" {
		return "?"
	}
	return line
}
