#!/usr/bin/env python3
"""Takes the ELF kernel out of a bzImage: the compressed payload that its setup header points to.

usage: extract_vmlinux.py BZIMAGE VMLINUX

Offsets: Linux x86 boot protocol, Documentation/arch/x86/boot.rst: setup_sects at 0x1f1, "HdrS" at 0x202,
payload_offset at 0x248 and payload_length at 0x24c (protocol 2.08), both counted from the protected-mode code.
"""

import struct
import subprocess
import sys

# How each payload that Debian's kernels use begins, and what decompresses it.
DECOMPRESSORS = [
    (b"\x02\x21\x4c\x18", ["lz4", "-d", "-c"]),
    (b"\x1f\x8b", ["gzip", "-d", "-c"]),
    (b"\xfd7zXZ\x00", ["xz", "-d", "-c"]),
    (b"\x28\xb5\x2f\xfd", ["zstd", "-d", "-c"]),
]


def payload_of(image: bytes) -> bytes:
    """The compressed payload of the bzImage IMAGE, without the length word that the kernel's build appends."""
    if len(image) < 0x250 or image[0x202:0x206] != b"HdrS":
        raise ValueError("not a bzImage (no HdrS at 0x202)")
    if struct.unpack_from("<H", image, 0x206)[0] < 0x208:
        raise ValueError("boot protocol older than 2.08: no payload offset")
    start = (image[0x1F1] or 4) * 512 + 512
    offset, length = struct.unpack_from("<II", image, 0x248)
    if length < 4 or start + offset + length > len(image):
        raise ValueError("the payload lies outside the file")
    return image[start + offset : start + offset + length - 4]


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    source, target = sys.argv[1:]
    try:
        with open(source, "rb") as file:
            payload = payload_of(file.read())
    except ValueError as error:
        print(f"{source}: {error}", file=sys.stderr)
        return 1
    for magic, command in DECOMPRESSORS:
        if payload.startswith(magic):
            break
    else:
        print(f"{source}: unknown payload compression {payload[:6].hex()}", file=sys.stderr)
        return 1
    result = subprocess.run(command, input=payload, stdout=subprocess.PIPE, check=True)
    if not result.stdout.startswith(b"\x7fELF"):
        print(f"{source}: the payload is not an ELF image", file=sys.stderr)
        return 1
    with open(target, "wb") as file:
        file.write(result.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
