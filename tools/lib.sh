# Shell functions that the project's scripts share. Source it; it sets nothing but functions and TOP.
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# step TEXT: one line of progress on standard error.
step() {
    if [ -t 2 ]; then printf '\033[1m[build]\033[0m %s\n' "$*" >&2; else printf '[build] %s\n' "$*" >&2; fi
}

# die TEXT: what went wrong and what to do; ends the script.
die() {
    if [ -t 2 ]; then printf '\033[31m[build] %s\033[0m\n' "$*" >&2; else printf '[build] %s\n' "$*" >&2; fi
    exit 1
}

# quietly LOGFILE COMMAND…: runs COMMAND with its output in LOGFILE; on failure shows the end of it and dies.
quietly() {
    local log=$1
    shift
    mkdir -p "$(dirname "$log")"
    "$@" >"$log" 2>&1 || { tail -n 30 "$log" >&2; die "failed: $* (all of its output: $log)"; }
}

# need_packages PACKAGE…: installs those Debian packages that are missing.
need_packages() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    [ "$(id -u)" -eq 0 ] || die "these Debian packages are missing, and only root can install them: ${missing[*]}"
    step "installing from Debian: ${missing[*]}"
    quietly "$TOP/build/log/apt-update.log" apt-get update
    DEBIAN_FRONTEND=noninteractive quietly "$TOP/build/log/apt-install.log" \
        apt-get install -y --no-install-recommends "${missing[@]}"
}

# What building needs, and what running and testing need beside it.
BUILD_PACKAGES=(gcc make binutils musl-dev libbsd-dev linux-libc-dev libxen-dev acpica-tools python3 dpkg-dev lz4
    busybox-static grub-pc-bin grub-common xorriso mtools)
RUN_PACKAGES=(bochs qemu-system-x86 socat)
TEST_PACKAGES=(libcmocka-dev clang python3-pytest python3-pytest-xdist python3-pexpect e2fsprogs)
