#!/usr/bin/env bash
# Installs what is missing, builds with both compilers, runs the tests.
set -euo pipefail
. "$(dirname "$0")/tools/lib.sh"

usage() {
    cat <<'END'
usage: ./test.sh [unit|tools|fuzz|system|PATTERN]

Without an argument, every test:
  unit     algorithms and device models on this computer, under the address and undefined-behaviour sanitizers
  tools    the image packer and the configuration compiler
  fuzz     what reads untrusted bytes, fed with random ones; the same ones each time
  system   whole boots in QEMU and Bochs, driven over the serial console
  PATTERN  those of all four whose name contains it

SEL4_KERNEL=FILE runs the system tests on that kernel as well. The last line is `N passed, N failed, N skipped`.
END
}

[ $# -le 1 ] || { usage >&2; exit 2; }
case "${1:-}" in -h|--help) usage; exit 0 ;; -*) usage >&2; exit 2 ;; esac

need_packages "${BUILD_PACKAGES[@]}" "${RUN_PACKAGES[@]}" "${TEST_PACKAGES[@]}"
cd "$TOP"
./mkkernel.sh
step "compiling the unit tests and fuzz targets"
quietly build/log/make-tests.log make -j"$(nproc)" unit-tests fuzz

case "${1:-}" in
    ''|system)
        tools/fetch-linux.sh cloud
        tools/fetch-linux.sh generic
        /usr/bin/python3 tools/make_initramfs.py --modules build/images/linux-cloud.modules \
            --modules build/images/linux-generic.modules build/images/initramfs.cpio
        ;;
esac
exec /usr/bin/python3 tools/run_tests.py ${1+"$1"}
