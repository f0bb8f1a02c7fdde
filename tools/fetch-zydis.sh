#!/usr/bin/env bash
# Downloads the source of Zydis, an instruction decoder, from Debian's archive and builds it as a static library.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

usage() {
    cat <<'END'
usage: tools/fetch-zydis.sh

Writes below build/zydis/:
  include/          its headers, and those of Zycore, which they include
  user/libzydis.a   for programs on the microkernel: no libc, no vector registers
  host/libzydis.a   for unit tests
Nothing is installed. Where apt has no source packages configured, they are looked for where apt has the binary ones.
END
}

case "${1:-}" in
    -h|--help) usage; exit 0 ;;
    '') ;;
    *) usage >&2; exit 2 ;;
esac

out=$TOP/build/zydis
[ -s "$out/user/libzydis.a" ] && [ -s "$out/host/libzydis.a" ] && exit 0
need_packages gcc binutils dpkg-dev
mkdir -p "$TOP/build"
work=$(mktemp -d "$TOP/build/zydis.XXXXXX")
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"

# origin: "URI SUITE COMPONENT" of the archive that apt has Zydis from.
origin() {
    apt-cache madison libzydis-dev 2>/dev/null | awk -F'|' 'NF == 3 { split($3, a, " "); split(a[2], b, "/")
        print a[1], b[1], b[2]; exit }'
}
[ -n "$(origin)" ] || quietly "$TOP/build/log/apt-update.log" apt-get update
read -r uri suite component < <(origin) ||
    die "apt knows no package libzydis-dev; is this Debian 12 with its 'main' component?"

step "downloading Debian's source package zydis"
mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
# The key that apt's own Debian source names; without one, apt looks among those that it trusts anyway.
key=$(sed -nE -e 's/^Signed-By:[[:space:]]*(\/[^[:space:]]+).*/\1/p' -e 's/^deb.*[[ ]signed-by=([^] ]+).*/\1/p' \
    /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | grep -i debian | head -n 1 || true)
echo "deb-src ${key:+[signed-by=$key] }$uri $suite $component" >"$work/sources.list"
private=(-o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root)
cd "$work"
quietly "$TOP/build/log/zydis-update.log" apt-get "${private[@]}" update
quietly "$TOP/build/log/zydis-source.log" apt-get "${private[@]}" source --only-source --download-only zydis
quietly "$TOP/build/log/zydis-headers.log" apt-get -o APT::Sandbox::User=root download libzycore-dev

step "building Zydis"
quietly "$TOP/build/log/zydis-unpack.log" dpkg-source --no-check -x zydis_*.dsc zydis
mkdir zycore include
dpkg-deb -x libzycore-dev_*.deb zycore
cp -r zydis/include/Zydis zycore/usr/include/Zycore include/

definitions=(-DZYAN_NO_LIBC -DZYCORE_STATIC_BUILD -DZYDIS_STATIC_BUILD -DZYDIS_DISABLE_FORMATTER
    -DZYDIS_DISABLE_ENCODER -DZYDIS_DISABLE_AVX512 -DZYDIS_DISABLE_KNC)
# build NAME FLAG…: the decoder's part of the library.
build() {
    local name=$1 source
    shift
    mkdir "$name"
    for source in Decoder DecoderData MetaInfo Mnemonic Register Segment SharedData Utils Zydis; do
        quietly "$TOP/build/log/zydis-compile.log" gcc -O2 -g -ffunction-sections -fdata-sections "$@" \
            "${definitions[@]}" -Iinclude -Izydis/src -c "zydis/src/$source.c" -o "$name/$source.o"
    done
    ar rcs "$name/libzydis.a" "$name"/*.o
    rm "$name"/*.o
}
build user -ffreestanding -mgeneral-regs-only -fno-pic -fno-pie -fno-stack-protector -fno-asynchronous-unwind-tables
build host

rm -rf "$out"
mkdir "$out"
mv include user host "$out/"
