#!/bin/sh
# What the tree in ./openhpc has to come to, found without any of our Go code:
# the families and what is left out are written down here by hand, as a person
# reads misc/obs/config.2.x [3.2.0], and packages are what rpmspec says.
#
#     sh expected.sh > expected.txt
#
# A line is: cell, recipe, variant (- for the only one), and a package, or why
# there is none:
#
#     skipped:group    no group lists the component, or ! turns it off
#     skipped:config   a skip list or an impossible pair
#     skipped:arch     the spec's own BuildArch, ExclusiveArch or ExcludeArch
#     failed:N         rpm cannot read line N
set -eu
cd "$(dirname "$0")/openhpc"
export LC_ALL=C

# rpm takes the machine that it runs on for the one that it reads a spec for,
# when it looks at BuildArch. With this it takes both, and BuildArch is looked at
# below.
rc=$(mktemp)
trap 'rm -f "$rc"' EXIT
printf 'buildarch_compat: x86_64: aarch64 noarch\nbuildarch_compat: aarch64: x86_64 noarch\n' > "$rc"
rcfiles=$(rpm --eval '%{_rpmconfigdir}')/rpmrc:$rc

rpmspec_for() { # query arch spec defines...
    query=$1 on=$2 spec=$3
    shift 3
    case $target in
    EL_9) set -- -D 'rhel 9' "$@" ;;
    Leap_15) set -- -D 'suse_version 1500' -D 'sle_version 150500' "$@" ;;
    openEuler_22.03) set -- -D 'openEuler 1' "$@" ;;
    esac
    rpmspec --rcfile "$rcfiles" --query "--$query" --target "$on-linux" \
        --undefine dist --define "_sourcedir $PWD/components" "$@" "$spec"
}

# The spec's own words on architectures, which are rpmbuild's to heed.
wrong_arch() { # arch spec defines...
    here=$1 file=$2
    shift 2
    grep -qE '^(BuildArch|ExclusiveArch|ExcludeArch):' "$file" || return 1
    rpmspec_for srpm "$here" "$file" "$@" --queryformat \
        '[build %{BUILDARCHS}\n][only %{EXCLUSIVEARCH}\n][not %{EXCLUDEARCH}\n]' 2> /dev/null |
        awk -v arch="$here" '
            $1 == "build" { builds = 1; if ($2 == arch || $2 == "noarch") fits = 1 }
            $1 == "only"  { only = 1; if ($2 == arch) listed = 1 }
            $1 == "not" && $2 == arch { excluded = 1 }
            END { exit !(excluded || only && !listed || builds && !fits) }'
}

left_out() { # name-compiler-mpi
    case $1 in
    *-arm1-impi | *-arm1-mvapich2 | *-arm1-mpich) return 0 ;;
    esac
    case $arch:$1 in
    aarch64:*-intel | aarch64:*-intel-* | aarch64:*-impi | aarch64:*-mvapich2) return 0 ;;
    aarch64:mvapich2-* | aarch64:intel-compilers-devel | aarch64:openblas-arm1) return 0 ;;
    x86_64:*-arm1 | x86_64:*-arm1-* | x86_64:*-gnu14-impi) return 0 ;;
    esac
    case $target:$1 in
    openEuler_22.03:*-arm1* | openEuler_22.03:*-intel* | openEuler_22.03:*-impi*) return 0 ;;
    openEuler_22.03:impi-devel | openEuler_22.03:intel-compilers-devel | openEuler_22.03:arm-compilers-devel) return 0 ;;
    Leap_15:netcdf-c++* | Leap_15:papi) return 0 ;;
    esac
    return 1
}

one() { # recipe variant spec name defines...
    recipe=$1 variant=$2 path=$3 name=$4
    shift 4
    line="$target/$arch $recipe ${variant:--}"
    if left_out "$name"; then
        echo "$line skipped:config"
    elif wrong_arch "$arch" "$path" "$@"; then
        echo "$line skipped:arch"
    elif packages=$(rpmspec_for builtrpms "$arch" "$path" "$@" --queryformat '%{NEVRA}\n' 2> "$rc.err"); then
        for package in $packages; do echo "$line $package"; done
    else
        echo "$line failed:$(sed -n 's/^error: line \([0-9]*\): .*/\1/p' "$rc.err" | head -n 1)"
    fi
    rm -f "$rc.err"
}

with_compilers() { # recipe spec extra-suffix members defines...
    r=$1 s=$2 suffix=$3 members=$4
    shift 4
    for c in $members; do
        one "$r" "$c$suffix" "$s" "$r-$c" "$@" -D "compiler_family $c"
    done
}

with_mpi() { # recipe spec compilers mpis
    for c in $3; do
        for m in $4; do
            one "$1" "$c-$m" "$2" "$1-$c-$m" -D "compiler_family $c" -D "mpi_family $m"
        done
    done
}

all_compilers='gnu14 intel arm1'
all_mpis='openmpi5 mpich mvapich2 impi'

cell() { # target arch
    target=$1 arch=$2
    for plain in \
        admin/clock admin/handbook admin/meta-packages admin/ohpc-filesystem admin/prun admin/shout \
        compiler-families/arm-compilers-devel compiler-families/gnu-compilers compiler-families/intel-compilers-devel \
        dev-tools/hwloc dev-tools/valgrind mpi-families/libfabric mpi-families/ucx \
        perf-tools/dimemas perf-tools/likwid perf-tools/papi \
        provisioning/warewulf-cluster provisioning/warewulf-common provisioning/warewulf-ipmi \
        provisioning/warewulf-provision provisioning/warewulf-vnfs \
        rms/pmix rms/slurm runtimes/charliecloud; do
        folder=${plain##*/}
        one "$folder" '' "components/$plain/SPECS/$folder.spec" "$folder"
    done
    one ohpc-release '' components/admin/ohpc-release/SPECS/release.spec ohpc-release
    one impi-devel '' components/mpi-families/impi-devel/SPECS/intel-mpi.spec impi-devel
    one twins.twins '' components/dev-tools/twins/SPECS/twins.spec twins
    one twins.twins-more '' components/dev-tools/twins/SPECS/twins-more.spec twins

    for multiplied in io-libs/cubew io-libs/hdf5 mpi-families/mpich mpi-families/mvapich2 mpi-families/openmpi \
        serial-libs/gsl serial-libs/metis serial-libs/scotch; do
        folder=${multiplied##*/}
        with_compilers "$folder" "components/$multiplied/SPECS/$folder.spec" '' "$all_compilers"
    done
    with_compilers openblas components/serial-libs/openblas/SPECS/openblas.spec '' 'gnu14 arm1'
    with_compilers mpich components/mpi-families/mpich/SPECS/mpich.spec -ucx "$all_compilers" -D 'with_ucx 1'
    with_compilers openmpi components/mpi-families/openmpi/SPECS/openmpi.spec -pmix "$all_compilers" -D 'RMS_DELIM -pmix'
    with_compilers netcdf components/io-libs/netcdf/SPECS/netcdf.spec -serial "$all_compilers" -D 'ohpc_mpi_dependent 0'

    for multiplied in io-libs/netcdf io-libs/netcdf-c++ parallel-libs/boost parallel-libs/ptscotch perf-tools/geopm; do
        folder=${multiplied##*/}
        with_mpi "$folder" "components/$multiplied/SPECS/$folder.spec" "$all_compilers" "$all_mpis"
    done
    with_mpi phdf5 components/io-libs/phdf5/SPECS/hdf5.spec "$all_compilers" "$all_mpis"
    with_mpi imb components/perf-tools/imb/SPECS/imb.spec gnu14 'openmpi5 mpich'
    with_mpi lmod-defaults components/admin/lmod-defaults/SPECS/lmod-defaults.spec "$all_compilers" 'openmpi5 mvapich2 impi'

    for dead in RC1 RC2 easybuild llvm-compilers losf ohpc-release-factory; do
        echo "$target/$arch $dead - skipped:group"
    done
}

for arch in x86_64 aarch64; do
    cell EL_9 "$arch"
    cell Leap_15 "$arch"
    cell openEuler_22.03 "$arch"
done | sort
