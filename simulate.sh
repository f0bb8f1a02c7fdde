#!/usr/bin/env bash
# Builds the system, boots it in an emulator, and connects the terminal to its serial console.
set -euo pipefail
. "$(dirname "$0")/tools/lib.sh"

usage() {
    cat <<'END'
usage: ./simulate.sh [OPTION]…

Installs what is missing (as root, from Debian's packages), builds, makes the CD image, boots it in an emulator and gives
you its serial console: first the system's log, then the guest's console. Ctrl-\ ends the emulator.

  --machine qemu    QEMU (default), which emulates AMD-V: a Linux guest is up in half a minute
  --machine bochs   Bochs, which emulates VT-x: it takes two minutes
  --config FILE     the machines to run (default config/linux.toml; with --mode pv config/shell.toml)
  --mode MODE       auto (hardware virtualization of either kind, or else pv), vtx, svm or pv, for all machines instead
                    of what the configuration says
  --mem MiB         memory of the emulated computer (default 512)
  --no-build        boot what was built last

SEL4_KERNEL=FILE takes another kernel with the seL4 16.0.0 API.
END
}

machine=qemu
config=
mode=
memory=512
iso_options=()
while [ $# -gt 0 ]; do
    case "$1" in
        -h|--help) usage; exit 0 ;;
        --no-build) iso_options+=(--no-build); shift; continue ;;
        --machine|--config|--mode|--mem) [ $# -ge 2 ] || die "$1 needs a value; see --help" ;;
        *) usage >&2; exit 2 ;;
    esac
    case "$1" in
        --machine) machine=$2 ;;
        --config) config=$(realpath -m "$2") ;;
        --mode) mode=$2 ;;
        --mem) memory=$2 ;;
    esac
    shift 2
done
case "$machine" in qemu|bochs) ;; *) die "--machine is qemu or bochs, not $machine" ;; esac
case "$mode" in ''|auto|vtx|svm|pv) ;; *) die "--mode is auto, vtx, svm or pv, not $mode" ;; esac
if [ -z "$config" ]; then
    config=config/linux.toml
    [ "$mode" != pv ] || config=config/shell.toml
fi
case "$memory" in ''|*[!0-9]*) die "--mem is a number of MiB, not $memory" ;; esac

cd "$TOP"
mkdir -p build
run=$(mktemp -d build/run.XXXXXX)
emulator=
finish() {
    [ -z "$emulator" ] || kill "$emulator" 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$run"
}
trap finish EXIT

[ -s "$config" ] || die "no configuration at $config; see config/linux.toml for an example"
if [ -n "$mode" ]; then
    # File names in the configuration are relative to it, so the copy has to stand beside it.
    changed=$(dirname "$config")/.mode-$$.toml
    trap 'rm -f "$changed"; finish' EXIT
    awk -v mode="$mode" '/^[[:space:]]*mode[[:space:]]*=/ { next } { print } /^[[:space:]]*\[\[vm\]\]/ { print "mode = \"" mode "\"" }' \
        "$config" >"$changed"
    config=$changed
fi
need_packages "${RUN_PACKAGES[@]}"
./mkiso.sh --config "$config" --output "$run/beaml4.iso" ${iso_options[@]+"${iso_options[@]}"}

case "$machine" in
    qemu)
        console=UNIX-CONNECT:$run/console
        step "starting QEMU (Ctrl-\\ ends it)"
        qemu-system-x86_64 -cpu max -m "$memory" -display none -no-reboot -cdrom "$run/beaml4.iso" -boot d \
            -chardev "socket,id=console,path=$run/console,server=on,wait=on" -serial chardev:console \
            >"$run/log" 2>&1 &
        emulator=$!
        ;;
    bochs)
        port=$(/usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
        console=TCP:127.0.0.1:$port
        /usr/bin/python3 tools/bochsrc.py --iso "$run/beaml4.iso" --memory "$memory" --console-port "$port" \
            --log "$run/log" >"$run/bochsrc"
        echo c >"$run/commands"
        step "starting Bochs, which reads the CD slowly: the first output takes about half a minute (Ctrl-\\ ends it)"
        bochs -q -f "$run/bochsrc" -rc "$run/commands" >"$run/stdout" 2>&1 </dev/null &
        emulator=$!
        ;;
esac

# The emulator opens its console socket when it is ready to run, and waits there for us.
wait_for=retry=300,interval=0.1
if [ -t 0 ]; then
    socat -,raw,echo=0,escape=0x1c "$console,$wait_for" || { tail -n 20 "$run/log" >&2; die "the emulator did not start"; }
else
    socat - "$console,$wait_for" || { tail -n 20 "$run/log" >&2; die "the emulator did not start"; }
fi
