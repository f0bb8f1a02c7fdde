#!/usr/bin/env bash
# Makes the bootable CD image: GRUB, the kernel, and the root task with everything else packed into it.
set -euo pipefail
. "$(dirname "$0")/tools/lib.sh"

usage() {
    cat <<'END'
usage: ./mkiso.sh [--config FILE] [--output FILE] [--no-build]

  --config FILE   the machines to run (default config/linux.toml)
  --output FILE   the image (default build/beaml4.iso); FILE.system is the boot module in it
  --no-build      take what is in build/; needs no compiler

SEL4_KERNEL=FILE takes another kernel with the seL4 16.0.0 API than build/kernel.elf.
END
}

config=config/linux.toml
output=build/beaml4.iso
build=yes
while [ $# -gt 0 ]; do
    case "$1" in
        -h|--help) usage; exit 0 ;;
        --config) [ $# -ge 2 ] || die "--config needs a file"; config=$(realpath -m "$2"); shift 2 ;;
        --output) [ $# -ge 2 ] || die "--output needs a file"; output=$(realpath -m "$2"); shift 2 ;;
        --no-build) build=no; shift ;;
        *) usage >&2; exit 2 ;;
    esac
done

cd "$TOP"
if [ "$build" = yes ]; then
    ./mkkernel.sh
else
    need_packages python3 grub-pc-bin grub-common xorriso
    [ -s build/beaml4-init.elf ] || die "there is nothing in build/ yet: leave out --no-build"
fi
kernel=${SEL4_KERNEL:-build/kernel.elf}
[ -s "$kernel" ] || die "no kernel at $kernel (SEL4_KERNEL names it)"
[ -s "$config" ] || die "no configuration at $config; see config/linux.toml for an example"

# The images that the examples in config/ name are made here when they are missing.
for kind in cloud generic; do
    if grep -q "build/images/linux-$kind\." "$config"; then tools/fetch-linux.sh "$kind"; fi
done
if grep -q 'build/images/initramfs\.cpio' "$config"; then
    need_packages busybox-static
    /usr/bin/python3 tools/make_initramfs.py --modules build/images/linux-cloud.modules \
        --modules build/images/linux-generic.modules build/images/initramfs.cpio
fi

work=$(mktemp -d build/iso.XXXXXX)
trap 'rm -rf "$work"' EXIT
step "packing the machines of $(basename "$config")"
/usr/bin/python3 tools/compile_config.py "$config" "$work/config" "$work/members"
servers=()
for server in logserver timeserver screenserver dbgserver vmmserver virtioserver; do servers+=("$server=build/$server.elf"); done
mkdir -p "$work/cd/boot"
/usr/bin/python3 tools/pack.py build/beaml4-init.elf "$work/cd/boot/system.elf" "${servers[@]}" --members "$work/members"
cp "$kernel" "$work/cd/boot/kernel.elf"

step "writing $output"
cat >"$work/grub.cfg" <<'END'
set root=cd
multiboot /boot/kernel.elf
module /boot/system.elf
boot
END
quietly build/log/grub.log grub-mkimage -O i386-pc-eltorito -p /boot -c "$work/grub.cfg" \
    -o "$work/cd/boot/grub.img" biosdisk iso9660 multiboot normal
mkdir -p "$(dirname "$output")"
quietly build/log/xorriso.log xorriso -as mkisofs -quiet -V BEAML4 -b boot/grub.img -no-emul-boot -boot-load-size 4 \
    -boot-info-table -o "$output" "$work/cd"
cp "$work/cd/boot/system.elf" "$output.system"
