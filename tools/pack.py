#!/usr/bin/env python3
"""Packs services, guest images and the compiled configuration into beaml4-init's ELF file.

The result is the one boot module of the system: init's ELF with one more segment, the archive, at the page behind
everything else. The segment is a head page (u64 magic "BML4ARCH", u64 length of what follows, little-endian) and a cpio
archive in the "newc" format, in which the data of every member begins on a page of its own, so that init can map
members into other processes. No compiler is needed: an image is repacked by running this again on beaml4-init.elf.
"""

import argparse
import pathlib
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import cpio  # noqa: E402

PAGE = 4096
MAGIC = b"BML4ARCH"
MEMBER_NAME_BYTES = 96  # CONFIG_MEMBER_BYTES of ipc/vm_config.h, with the terminating zero
PT_NULL, PT_LOAD, PF_R = 0, 1, 4
PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")


class PackError(Exception):
    """What is wrong with the input, in words for the user."""


def check_name(name: str, taken):
    """Refuses a member name that init could not look up."""
    if not name or len(name.encode()) >= MEMBER_NAME_BYTES:
        raise PackError(f"member name {name!r}: expected 1 to {MEMBER_NAME_BYTES - 1} bytes")
    if name.startswith(".pad") or name == "TRAILER!!!" or "\0" in name:
        raise PackError(f"member name {name!r} is one of the archive format's own")
    if name in taken:
        raise PackError(f"two members are called {name!r}")


def archive(members: list[tuple[str, bytes]]) -> bytes:
    """The archive segment: head page and cpio data."""
    output, taken = cpio.Archive(), set()
    for name, data in members:
        check_name(name, taken)
        taken.add(name)
        output.pad_data_to(PAGE, name)
        output.add(name, data)
    body = output.bytes()
    return MAGIC + struct.pack("<Q", len(body)) + bytes(PAGE - 16) + body


def program_headers(elf: bytes) -> tuple[int, list[tuple]]:
    """Where the program headers of a 64-bit x86 ELF executable start, and their fields."""
    if len(elf) < 64 or elf[:6] != b"\x7fELF\x02\x01" or struct.unpack_from("<HH", elf, 16) != (2, 62):
        raise PackError("not a static x86-64 ELF executable")
    (offset,) = struct.unpack_from("<Q", elf, 32)
    size, count = struct.unpack_from("<HH", elf, 54)
    if size != PROGRAM_HEADER.size or offset + size * count > len(elf):
        raise PackError("its program headers are damaged")
    return offset, [PROGRAM_HEADER.unpack_from(elf, offset + size * i) for i in range(count)]


def pack(elf: bytes, members: list[tuple[str, bytes]]) -> bytes:
    """ELF with its spare program header turned into the archive's segment."""
    table, headers = program_headers(elf)
    spare = [i for i, header in enumerate(headers) if header[0] == PT_NULL]
    loads = [header for header in headers if header[0] == PT_LOAD]
    if not spare or not loads:
        raise PackError("it has no spare program header for the archive (is it beaml4-init.elf, not packed before?)")
    address = -(-max(vaddr + memory for _, _, _, vaddr, _, _, memory, _ in loads) // PAGE) * PAGE
    segment = archive(members)
    offset = -(-len(elf) // PAGE) * PAGE
    output = bytearray(elf) + bytes(offset - len(elf)) + segment
    length = -(-len(segment) // PAGE) * PAGE
    PROGRAM_HEADER.pack_into(output, table + PROGRAM_HEADER.size * spare[0], PT_LOAD, PF_R, offset, address, address,
                             len(segment), length, PAGE)
    return bytes(output)


def parse_member(text: str) -> tuple[str, pathlib.Path]:
    name, separator, path = text.partition("=")
    if not separator or not path:
        raise PackError(f"member {text!r}: expected NAME=PATH")
    return name, pathlib.Path(path)


def read(path: pathlib.Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PackError(f"{what}: cannot read {path}: {error.strerror}") from None


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("init", type=pathlib.Path, metavar="INIT.ELF", help="beaml4-init.elf as the build makes it")
    parser.add_argument("output", type=pathlib.Path, metavar="OUT.ELF", help="the boot module to write")
    parser.add_argument("members", nargs="*", metavar="NAME=PATH", help="a member and the file that it is made of")
    parser.add_argument("--members", dest="lists", action="append", default=[], type=pathlib.Path, metavar="FILE",
                        help="a file with one NAME=PATH a line (compile_config.py writes one)")
    options = parser.parse_args(arguments)
    try:
        texts = list(options.members)
        for path in options.lists:
            texts += [line for line in read(path, "list of members").decode().splitlines() if line]
        members = [(name, read(path, f"member {name}")) for name, path in map(parse_member, texts)]
        try:
            image = pack(read(options.init, "init"), members)
        except PackError as error:
            raise PackError(f"{options.init}: {error}") from None
        options.output.write_bytes(image)
    except PackError as error:
        print(f"pack.py: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"pack.py: cannot write {options.output}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
