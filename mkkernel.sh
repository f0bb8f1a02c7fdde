#!/usr/bin/env bash
# Builds the kernel and the programs that run on it.
set -euo pipefail
. "$(dirname "$0")/tools/lib.sh"

usage() {
    cat <<'END'
usage: ./mkkernel.sh [--kernel-only]

Installs what building needs (as root) and builds
  build/kernel.elf        the microkernel
  build/beaml4-init.elf   the root task, and build/*.elf, the servers
With --kernel-only, only the first. CC=clang takes the other compiler.
END
}

target=all
case "${1:-}" in
    -h|--help) usage; exit 0 ;;
    --kernel-only) target=build/kernel.elf ;;
    '') ;;
    *) usage >&2; exit 2 ;;
esac

need_packages "${BUILD_PACKAGES[@]}"
cd "$TOP"
[ "$target" = all ] && tools/fetch-zydis.sh
step "compiling"
quietly build/log/make.log make -j"$(nproc)" "$target"
step "built: $([ "$target" = all ] && echo 'kernel, root task and servers, in build/' || echo "$target")"
