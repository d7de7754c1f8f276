# Functions for demo.sh and test.sh, which source this file from the root of
# the tree: they install what is missing and nothing else.  Services of the
# packages are neither started nor enabled; the lab runs private ones.
# shellcheck shell=bash

# Of the packages in bindep.txt and of what they pull in.
package_services=(
    rabbitmq-server.service epmd.service epmd.socket postgresql.service
)

say() {
    printf '==> %s\n' "$*"
}

fail() {
    printf '%s: %s\n' "$0" "$*" >&2
    exit 1
}

require_root() { # PROGRAM
    ((EUID == 0)) || fail "needs root for network namespaces: sudo $1"
    [[ -e /etc/debian_version ]] || fail "made for Debian 12; this is not Debian"
    # A shell without a login may lack these.
    export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
}

# Lines of bindep.txt without a profile, and those with the one named.
wanted_packages() { # PROFILE
    awk -v profile="$1" '
        { sub(/#.*/, "") }
        NF == 0 { next }
        /\[/ {
            profiles = $0
            gsub(/^[^[]*\[|\].*$/, "", profiles)
            if ((" " profiles " ") !~ (" " profile " ")) next
        }
        { print $1 }
    ' bindep.txt
}

is_installed() { # PACKAGE
    [[ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" \
        2>/dev/null)" == installed ]]
}

install_packages() { # PROFILE
    local package missing=()
    for package in $(wanted_packages "$1"); do
        is_installed "$package" || missing+=("$package")
    done
    if ((${#missing[@]} == 0)); then
        say "Debian packages: all there"
        return
    fi
    say "Debian packages: installing ${missing[*]} (a minute or two)"
    # In a process of its own, whose end undoes the precautions; and not as
    # a condition, which would make bash ignore its failures.
    local status=0 log
    log=$(mktemp --tmpdir flatnet-packages.XXXXXX)
    set +e
    (install_quietly "${missing[@]}") >"$log" 2>&1
    status=$?
    set -e
    if ((status != 0)); then
        tail --lines=20 "$log" >&2
        fail "could not install the Debian packages; all of it is in $log"
    fi
    rm -f "$log"
}

install_quietly() { # PACKAGE...
    set -euo pipefail
    export DEBIAN_FRONTEND=noninteractive
    undo=()
    trap 'for path in "${undo[@]}"; do rm --force --dir "$path"; done' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    twice apt_get update
    refuse_removals "$@"
    forbid_starts
    forbid_database_cluster
    local service new_services=()
    for service in "${package_services[@]}"; do
        unit_exists "$service" || new_services+=("$service")
    done
    twice apt_get install --no-install-recommends "$@"
    for service in "${new_services[@]}"; do
        if unit_exists "$service" && command -v systemctl >/dev/null; then
            systemctl --quiet disable "$service" 2>/dev/null || true
        fi
    done
}

apt_get() {
    apt-get --quiet --quiet --yes --option DPkg::Lock::Timeout=300 \
        --option Dpkg::Use-Pty=0 "$@"
}

twice() { # COMMAND...
    "$@" && return
    say "once more: $*"
    sleep 5
    "$@"
}

unit_exists() { # UNIT
    [[ -e /lib/systemd/system/$1 || -e /etc/systemd/system/$1 ]]
}

# busybox-static takes the place of busybox and does all that it does; no
# other package of the machine may go.
refuse_removals() { # PACKAGE...
    local leaving
    leaving=$(apt_get --simulate install --no-install-recommends "$@" |
        awk '$1 == "Remv" && $2 != "busybox" { print $2 }')
    [[ -z $leaving ]] ||
        fail "will not install what would remove:" $leaving
}

# Debian starts the services of a package that it installs, unless this file
# says no.  An administrator's own one stays as it is.
forbid_starts() {
    local policy=/usr/sbin/policy-rc.d
    if [[ ! -e $policy ]]; then
        undo+=("$policy")
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
}

# The PostgreSQL package makes a cluster when it is installed, unless this
# says no.
forbid_database_cluster() {
    local directory=/etc/postgresql-common/createcluster.d
    is_installed postgresql-common && return
    undo+=("$directory/flatnet.conf")
    if [[ ! -e $directory ]]; then
        mkdir -p "$directory"
        undo+=("$directory")
    fi
    echo "create_main_cluster = off" >"$directory/flatnet.conf"
}

# What the environment was made from, to see whether it is still the same.
fingerprint() {
    cat setup.cfg pyproject.toml constraints.txt | sha256sum
    pwd
}

# Make .venv with flatnet in it, from the pinned versions.
make_environment() { # PROFILE
    local stamp=".venv/stamp-$1" extras=""
    [[ $1 != test ]] || extras="[test,lint,bench]"
    if [[ -e $stamp && "$(<"$stamp")" == "$(fingerprint)" ]]; then
        say "Python packages: all there"
        return
    fi
    say "Python packages: installing into .venv"
    rm -f "$stamp"
    # Debian's own interpreter, whatever else is first in PATH.
    .venv/bin/python -m pip --version >/dev/null 2>&1 ||
        /usr/bin/python3 -m venv --clear .venv
    # The constraints by the environment, so that they hold for what builds
    # the package too; relative, for pip takes a space as the end of a path.
    PIP_CONSTRAINT=constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1 \
        PIP_ROOT_USER_ACTION=ignore \
        .venv/bin/python -m pip install --quiet --editable ".$extras" ||
        fail "could not install the Python packages; see the output of pip"
    fingerprint >"$stamp"
}
