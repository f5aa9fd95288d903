#!/usr/bin/env bash
# README's first command in fresh Debian systems, with the compilers and Pythons that each of them brings.
#
#     sudo tests/platforms/debian.sh              every row of the table below
#     sudo tests/platforms/debian.sh sid clang    rows with these words
#
# Needs root, debootstrap, about 3 GB below TMPDIR and a quarter of an hour; removes what it made. The committed tree is tried.
# AXDS_PYTEST="tests/_core tests/memory" also runs these tests in each system. KEEP=FOLDER keeps systems and logs there.
# Packages come from DEBIAN_MIRROR, else from the mirror of this machine's apt, else from debootstrap's default; pip is
# set up as it is here (PIP_* variables, /etc/pip.conf).
set -euo pipefail
cd "$(dirname "$0")/../.."

# Debian, compiler as CC, Python as the system names it: python3 is the default one.
rows=(
    "bookworm gcc python3"
    "trixie gcc python3"
    "trixie clang python3"
    "sid gcc python3"
    "sid gcc python3.15"
)
# What README asks for, and git; clang and a second Python where a row wants one.
packages=git,ca-certificates,gcc,libc6-dev,python3,python3-dev,python3-venv
declare -A more=([trixie]=clang [sid]=python3.15,python3.15-dev,python3.15-venv)

[ "$(id -u)" = 0 ] || { echo "expected root, which debootstrap and chroot need" >&2; exit 2; }
command=$(sed -n 's/^\$ //p' README.md | head -n 1)
[[ $command == *"axds demo"* ]] || { echo "expected the demo as README's first command, got: $command" >&2; exit 2; }

work=${KEEP:-$(mktemp -d)}
mkdir -p "$work"
work=$(cd "$work" && pwd)
[ -n "${KEEP:-}" ] || trap 'rm -rf --one-file-system "$work"' EXIT

mirror() {
    local found=${DEBIAN_MIRROR:-}
    # Of this machine's own sources the first that is no extra archive (security, backports).
    [ -n "$found" ] || found=$(apt-get indextargets --format '$(REPO_URI) $(SUITE)' "Origin: Debian" 2>/dev/null |
        awk '$2 !~ /security|updates|backports/ { print $1; exit }')
    echo "${found%/}"
}

# make_root SUITE: a system that holds what README asks for, and the tree
make_root() {
    local root=$work/$1
    [ -e "$root/tree" ] && return
    rm -rf --one-file-system "$root"
    # shellcheck disable=SC2046 # no mirror is no word
    debootstrap --variant=minbase --include="$packages${more[$1]:+,${more[$1]}}" "$1" "$root" $(mirror)
    cp --dereference /etc/resolv.conf "$root/etc/resolv.conf"
    [ ! -e /etc/pip.conf ] || cp /etc/pip.conf "$root/etc/pip.conf"
    cp --dereference /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/" # a laboratory may have an authority of its own
    git clone --quiet --no-local "$PWD" "$root/tree"
}

# inside ROOT CC PYTHON SCRIPT: runs a script there, with /proc and /dev/shm of its own that vanish with it
inside() {
    local settings=(HOME=/root LANG=C.UTF-8 "CC=$2" "PATH=/opt/$3:/usr/sbin:/usr/bin:/sbin:/bin")
    while IFS= read -r name; do settings+=("$name=${!name}"); done < <(compgen -e PIP_)
    # shellcheck disable=SC2016 # the variables are the inner shell's
    unshare --mount --pid --ipc --fork --kill-child bash -euc '
        mount -t proc proc "$1/proc"
        mkdir -p "$1/dev/shm"
        mount -t tmpfs -o size=2g,mode=1777 shm "$1/dev/shm"
        exec chroot "$1" env -i "${@:3}" bash -euc "$2"
    ' inside "$1" "$4" "${settings[@]}"
}

# try ROW: one line of the table
try() {
    local suite cc python root log verdict=ok cause="" tree
    read -r suite cc python <<<"$1"
    root=$work/$suite
    log=$work/$suite-$cc-$python.log
    if ! make_root "$suite" >"$work/$suite.log" 2>&1; then
        printf '%s\t%s\t%s\t%s\n' "$suite" "$cc" "$python" "FAILED: no system ($(tail -n 1 "$work/$suite.log"))"
        return 1
    fi
    mkdir -p "$root/opt/$python"
    ln -sf "/usr/bin/$python" "$root/opt/$python/python3" # README says python3
    tree=/trees/$cc-$python                               # each row builds for itself
    rm -rf "${root:?}$tree"
    mkdir -p "$root/trees"
    cp -a "$root/tree" "$root$tree"
    inside "$root" "$cc" "$python" "cd $tree; $command" >"$log" 2>&1 || verdict=FAILED
    grep -q ' messages: 0 missing, 0 duplicated' "$log" || verdict=FAILED # the line below its table
    [ $verdict = ok ] || cause=": $(grep -iE 'error' "$log" | tail -n 1)"
    if [ $verdict = ok ] && [ -n "${AXDS_PYTEST:-}" ]; then
        inside "$root" "$cc" "$python" "cd $tree; .venv/bin/pip install --quiet '.[test]'; .venv/bin/pytest -q -p no:cacheprovider $AXDS_PYTEST" \
            >>"$log" 2>&1 || verdict=FAILED
        cause=": $(tail -n 1 "$log")"
    fi
    printf '%s\t%s\t%s\t%s\n' "$suite $(cat "$root/etc/debian_version")" \
        "$(inside "$root" "$cc" "$python" '$CC --version | head -n 1' 2>/dev/null)" \
        "$(inside "$root" "$cc" "$python" 'python3 --version' 2>/dev/null)" "$verdict$cause"
    [ $verdict = ok ]
}

failed=0
table=$(printf 'Debian\tcompiler\tPython\tresult\n')
for row in "${rows[@]}"; do
    for word in "$@"; do [[ " $row " == *" $word "* ]] || continue 2; done
    echo "trying: $row" >&2
    line=$(try "$row") || { failed=1; tail -n 30 "$work/${row// /-}.log" >&2 || true; }
    table+=$'\n'$line
done
column -t -s $'\t' <<<"$table"
exit $failed
