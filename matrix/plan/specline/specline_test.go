package specline_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/matrix/plan/specline"
)

const spec = `%include %{_sourcedir}/OHPC_macros
# BuildRequires: commented-out
Name: %{pname}-%{compiler_family}-%{mpi_family}%{PROJ_DELIM}
BuildRequires: hypre-%{compiler_family}-%{mpi_family}%{PROJ_DELIM}
BuildRequires: gcc-c++, zlib-devel >= 1.2 make
buildrequires:phdf5-%{compiler_family}-%{mpi_family}%{PROJ_DELIM} >= %{hdf5_version}
%{?with_slurm:BuildRequires: slurm-devel%{PROJ_DELIM} >= 20}
Requires(post): /sbin/ldconfig
Requires: zlib-devel = %{version}-%{release}
BuildRequires: %{everything}
BuildRequires: %{a}-%{b}
%if 0%{?rhel}
BuildRequires: (openssl-devel or  libressl-devel%{?_isa})
BuildRequires: python%{?v:(x y)}-devel
%endif
PreReq: coreutils
Requires: zlib-devel > 1.2
`

func TestFind(t *testing.T) {
	text := specline.Read([]byte(spec))
	require.Equal(t, []string{"OHPC_macros"}, text.Includes())
	for _, tc := range []struct {
		kind        specline.Kind
		requirement string
		line        int
	}{
		{specline.BuildRequires, "hypre-gnu14-openmpi5-ohpc", 4},
		{specline.BuildRequires, "gcc-c++", 5},
		{specline.BuildRequires, "make", 5},
		{specline.BuildRequires, "zlib-devel >= 1.2", 5},
		{specline.Requires, "zlib-devel > 1.2", 17},
		{specline.Requires, "zlib-devel = 1.2-1", 9},
		{specline.Requires, "zlib-devel", 9},
		{specline.Any, "zlib-devel >= 1.2", 5},
		{specline.BuildRequires, "phdf5-gnu14-openmpi5-ohpc >= 1.14", 6},
		{specline.BuildRequires, "slurm-devel-ohpc >= 20", 7},
		{specline.Requires, "/sbin/ldconfig", 8},
		{specline.Requires, "coreutils", 16},
		{specline.BuildRequires, "coreutils", 0},
		{specline.BuildRequires, "(openssl-devel or libressl-devel(x86-64))", 13},
		{specline.BuildRequires, "python3.11-devel", 14},
		{specline.BuildRequires, "commented-out", 0},
		{specline.BuildRequires, "petsc-gnu14", 0}, // what is all macros says nothing
		{specline.Any, "", 0},
	} {
		line, likeness := text.Find(tc.kind, tc.requirement)
		require.Equal(t, tc.line, line, tc.requirement)
		require.Equal(t, tc.line == 0, likeness == 0, tc.requirement)
	}
	require.Equal(t, 4, specline.LineOf([]byte(spec), "hypre-gnu14-openmpi5-ohpc"))
	require.Zero(t, specline.LineOf(nil, "a"))
}

// FuzzFind asserts that a line that is found is a line of the text.
func FuzzFind(f *testing.F) {
	f.Add(spec, "hypre-gnu14")
	f.Add("Requires: %{", "a")
	f.Add("Requires: )%(", "(a")
	f.Fuzz(func(t *testing.T, text, requirement string) {
		line := specline.LineOf([]byte(text), requirement)
		require.GreaterOrEqual(t, line, 0)
		require.LessOrEqual(t, line, strings.Count(text, "\n")+1)
	})
}
