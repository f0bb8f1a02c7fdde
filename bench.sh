#!/usr/bin/env bash
# Runs the benchmarks in QEMU and Bochs, where ticks are counted instructions: the same run gives the same figure
# everywhere.
set -euo pipefail
. "$(dirname "$0")/tools/lib.sh"

usage() {
    cat <<'END'
usage: ./bench.sh [exits|kernel|linux|memory|timers|start]… [--emulator qemu|bochs] [--json FILE]

Without a name, every benchmark:
  exits   ticks of an exit of a guest, handled by a user-level monitor, and back
  kernel  ticks of a call and its reply, a signal, a PV guest's fault and its answer, the mapping of a page
  linux   ticks from the monitor's start to Linux' first process, against the same kernel bare on the same emulator
  start   ticks from the beginning of a VM's creation to its guest's first instruction, for a small guest and for Linux
  timers  how late a timer of timeserver's is at its client: median, 99th percentile, worst of 1,000
  memory  bytes of the kernel and of each service, and what a VM needs besides its guest's RAM

In QEMU guests run by AMD-V, in Bochs by VT-x. Prints a table; --json writes the same as JSON (default
build/bench.json). SEL4_KERNEL=FILE adds that kernel's figures, in Bochs. docs/performance.md says what the figures mean.
END
}

case "${1:-}" in -h|--help) usage; exit 0 ;; esac
need_packages "${BUILD_PACKAGES[@]}" "${RUN_PACKAGES[@]}"
cd "$TOP"
./mkkernel.sh
tools/fetch-linux.sh cloud
step "compiling the benchmarks"
quietly build/log/make-bench.log make -j"$(nproc)" benchmarks
exec /usr/bin/python3 tests/bench/bench.py "$@"
