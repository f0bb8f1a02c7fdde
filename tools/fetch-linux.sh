#!/usr/bin/env bash
# Downloads a Debian kernel package without installing it and takes the kernel out of it, unmodified.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

usage() {
    cat <<'END'
usage: tools/fetch-linux.sh [cloud|generic]

Writes below build/images/:
  linux-KIND.bzImage   the file that the package installs as /boot/vmlinuz-…
  linux-KIND.vmlinux   the ELF image inside it (its LZ4 payload, decompressed)
  linux-KIND.release   what `uname -r` will say
  linux-KIND.modules/  the modules that it needs for virtio disks, in a folder named by its release
KIND is cloud (default; linux-image-cloud-amd64) or generic (linux-image-amd64).
END
}

kind=cloud
case "${1:-}" in
    -h|--help) usage; exit 0 ;;
    ''|cloud) meta=linux-image-cloud-amd64 ;;
    generic) kind=generic; meta=linux-image-amd64 ;;
    *) usage >&2; exit 2 ;;
esac

images=$TOP/build/images
out=$images/linux-$kind
[ -s "$out.vmlinux" ] && [ -s "$out.bzImage" ] && [ -s "$out.release" ] && [ -d "$out.modules" ] && exit 0
need_packages lz4 dpkg-dev
mkdir -p "$images"

work=$(mktemp -d "$images/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"

[ -n "$(apt-cache depends "$meta" 2>/dev/null)" ] || quietly "$TOP/build/log/apt-update.log" apt-get update
package=$(apt-cache depends "$meta" | awk '/Depends: linux-image-[0-9]/ {print $2; exit}')
[ -n "$package" ] || die "apt knows no kernel package behind $meta; is this Debian 12 with its 'main' component?"
step "downloading Debian's $package"
(cd "$work" && quietly "$TOP/build/log/fetch-linux.log" apt-get download "$package") ||
    die "could not download $package"

step "extracting vmlinux and modules from $package"
dpkg-deb --fsys-tarfile "$work/$package"_*.deb |
    tar -x -C "$work" --wildcards './boot/vmlinuz-*' \
        '*/virtio.ko' '*/virtio_ring.ko' '*/virtio_mmio.ko' '*/virtio_blk.ko'
image=$(echo "$work"/boot/vmlinuz-*)
cp "$image" "$work/bzImage"
python3 "$TOP/tools/extract_vmlinux.py" "$work/bzImage" "$work/vmlinux"
basename "$image" | sed 's/^vmlinuz-//' >"$work/release"
mkdir -p "$work/modules/$(cat "$work/release")"
find "$work/lib" -name '*.ko' -exec mv -t "$work/modules/$(cat "$work/release")" {} +
rm -rf "$out.modules"
mv "$work/modules" "$out.modules"
mv "$work/bzImage" "$out.bzImage"
mv "$work/release" "$out.release"
mv "$work/vmlinux" "$out.vmlinux"
