# What the package tells the package managers, rpm and people.

@test "each package manager finds the definition" {
    found=0
    for dir in /etc/yum.repos.d /etc/zypp/repos.d; do
        [ ! -e "$dir/OpenHPC.repo" ] || found=$((found + 1))
    done
    echo "$found definitions"
    [ "$found" -ge 1 ]
}

@test "the definition has everything checked" {
    for file in /etc/yum.repos.d/OpenHPC.repo /etc/zypp/repos.d/OpenHPC.repo; do
        [ -e "$file" ] || continue
        sections=$(grep -c '^\[' "$file")
        for line in enabled=1 gpgcheck=1 repo_gpgcheck=1 pkg_gpgcheck=1 gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-OpenHPC-3; do
            [ "$(grep -cx "$line" "$file")" = "$sections" ]
        done
        [ "$(grep -c '^mirrorlist=' "$file")" = "$sections" ]
    done
}

@test "no macro was left unexpanded" {
    run grep -rn '%{' /etc/ohpc-release /etc/yum.repos.d/OpenHPC.repo
    [ "$status" = 1 ]
}

@test "rpm accepts the key" {
    rpm --dbpath "$BATS_TEST_TMPDIR/db" --initdb
    rpmkeys --dbpath "$BATS_TEST_TMPDIR/db" --import /etc/pki/rpm-gpg/RPM-GPG-KEY-OpenHPC-3
    rpm --dbpath "$BATS_TEST_TMPDIR/db" --query gpg-pubkey
}

@test "there is no private key" {
    run grep -r 'PRIVATE KEY' /etc/pki/rpm-gpg
    [ "$status" = 1 ]
}

@test "it tells the standing of this architecture" {
    cat /etc/ohpc-release
    [[ "$(head -n 1 /etc/ohpc-release)" == "OpenHPC 3 for "* ]]
    [ "$(grep -cE "^Status: $OHPC_ARCH (supported|tech preview)" /etc/ohpc-release)" = 1 ]
}
