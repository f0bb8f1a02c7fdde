#!/usr/bin/env python3
"""Guest kernels with something wrong, made from a good one, and what the monitor says about each.

As a program: images.py GOOD.elf FOLDER writes them as files, to try one by hand.
"""
import gzip
import pathlib
import struct
import sys
from dataclasses import dataclass, field

MIB = 1 << 20
PT_LOAD, PT_NOTE, PT_NULL = 1, 4, 0
EM_AARCH64 = 183


@dataclass
class BadImage:
    name: str
    kernel: bytes
    message: str  # a regular expression
    settings: dict = field(default_factory=dict)  # of its [[vm]] table
    initrd: bytes | None = None


class Elf:
    """An ELF64 file whose fields can be changed."""

    HEADER = {"class": (4, "B"), "type": (16, "H"), "machine": (18, "H"), "entry": (24, "Q"), "phoff": (32, "Q"),
              "phentsize": (54, "H"), "phnum": (56, "H")}
    SEGMENT = {"type": (0, "I"), "offset": (8, "Q"), "paddr": (24, "Q"), "filesz": (32, "Q"), "memsz": (40, "Q")}

    def __init__(self, content: bytes):
        self.content = bytearray(content)

    def get(self, name: str) -> int:
        offset, kind = self.HEADER[name]
        return struct.unpack_from("<" + kind, self.content, offset)[0]

    def set(self, name: str, value: int) -> "Elf":
        offset, kind = self.HEADER[name]
        struct.pack_into("<" + kind, self.content, offset, value)
        return self

    def _place(self, kind: int, index: int, name: str) -> tuple[int, str]:
        """Where a field of the INDEX-th segment of KIND lies, and its format."""
        for number in range(self.get("phnum")):
            start = self.get("phoff") + number * self.get("phentsize")
            if struct.unpack_from("<I", self.content, start)[0] == kind:
                if index == 0:
                    offset, form = self.SEGMENT[name]
                    return start + offset, "<" + form
                index -= 1
        raise ValueError(f"no such segment of type {kind}")

    def segment(self, name: str, index: int = 0, kind: int = PT_LOAD) -> int:
        place, form = self._place(kind, index, name)
        return struct.unpack_from(form, self.content, place)[0]

    def set_segment(self, name: str, value: int, index: int = 0, kind: int = PT_LOAD) -> "Elf":
        place, form = self._place(kind, index, name)
        struct.pack_into(form, self.content, place, value)
        return self

    def set_pvh_entry(self, value: int) -> "Elf":
        """In a note with a four-byte entry, as the linker script of our own guests makes it."""
        struct.pack_into("<I", self.content, self.segment("offset", kind=PT_NOTE) + 16, value)
        return self

    def bytes(self) -> bytes:
        return bytes(self.content)


def bzimage(**changes: int) -> bytes:
    """A bzImage (Linux boot protocol 2.15) that would be taken, with CHANGES to its header; its code only halts."""
    fields = {"setup_sects": (0x1F1, "B", 1), "syssize": (0x1F4, "I", 0x100), "boot_flag": (0x1FE, "H", 0xAA55),
              "jump": (0x201, "B", 0x6A), "version": (0x206, "H", 0x20F), "loadflags": (0x211, "B", 1),
              "initrd_addr_max": (0x22C, "I", 0x7FFFFFFF), "kernel_alignment": (0x230, "I", 2 * MIB),
              "relocatable": (0x234, "B", 1), "xloadflags": (0x236, "H", 1), "cmdline_size": (0x238, "I", 2047),
              "pref_address": (0x258, "Q", MIB), "init_size": (0x260, "I", MIB)}
    image = bytearray(1024) + b"\xf4" * 0x1000
    image[0x202:0x206] = b"HdrS"
    for name, (offset, form, value) in fields.items():
        struct.pack_into("<" + form, image, offset, changes.pop(name, value))
    assert not changes, f"unknown fields: {changes}"
    return bytes(image)


def bad_images(good: bytes, memory_mib: int = 16) -> list[BadImage]:
    """Every way of being wrong, for a VM of MEMORY_MIB; GOOD is an ELF kernel with a PVH note and two segments."""
    def elf() -> Elf:
        return Elf(good)

    first, second = elf().segment("paddr"), elf().segment("paddr", 1)
    return [
        BadImage("empty", b"", "the kernel file is empty"),
        BadImage("text", b"#!/bin/sh\necho no kernel\n",
                 "begins with bytes 23 21 2f 62; expected an ELF file or a bzImage"),
        BadImage("gzip", gzip.compress(good), "compressed with gzip"),
        BadImage("cut-header", good[:40], "truncated: 40 bytes"),
        BadImage("cut-segments", good[:elf().segment("offset", 1) + 8], r"truncated: its segment \d lies beyond"),
        BadImage("elf32", elf().set("class", 1).bytes(), "32-bit ELF file"),
        BadImage("arm64", elf().set("machine", EM_AARCH64).bytes(),
                 r"64-bit Arm \(number 183\); expected one for x86-64"),
        BadImage("object-file", elf().set("type", 1).bytes(), "of type 1; expected an executable"),
        BadImage("overlapping", elf().set_segment("paddr", first, 1).bytes(),
                 "segments 0 and 1 overlap at address 0x100000"),
        BadImage("low", elf().set_segment("paddr", 0x8000, 1).bytes(),
                 "wants memory at 0x8000; expected nothing below"),
        BadImage("beyond-memory", elf().set_segment("paddr", 64 * MIB, 1).bytes(),
                 f"needs memory up to 65 MiB, and this VM has {memory_mib} MiB"),
        BadImage("too-large", elf().set_segment("memsz", 100 * MIB, 1).bytes(),
                 f"needs memory up to 102 MiB, and this VM has {memory_mib} MiB"),
        BadImage("wraps-around", elf().set_segment("memsz", 2**64 - 4096, 1).bytes(), "its end wraps around"),
        BadImage("pvh-entry", elf().set_pvh_entry(second + 0x10000).bytes(), "PVH entry 0x[0-9a-f]+ lies outside"),
        BadImage("entry", elf().set("entry", 0x5000).bytes(), "entry 0x5000 lies outside of its segments",
                 {"boot": "linux64"}),
        BadImage("no-pvh-entry", elf().set_segment("type", PT_NULL, kind=PT_NOTE).bytes(), "has no PVH entry",
                 {"boot": "pvh"}),
        BadImage("bzimage-cut", bzimage()[:-512], "truncated: a bzImage of 4608 bytes; expected 5120"),
        BadImage("bzimage-old", bzimage(version=0x20A), "boot protocol 2.10; expected 2.12"),
        BadImage("bzimage-32bit", bzimage(xloadflags=0), "a bzImage without a 64-bit entry"),
        BadImage("bzimage-large", bzimage(init_size=40 * MIB),
                 f"needs memory up to 41 MiB, and this VM has {memory_mib}"),
        BadImage("bzimage-pvh", bzimage(), "a bzImage, which has no PVH entry", {"boot": "pvh"}),
        BadImage("long-cmdline", bzimage(cmdline_size=20), "the command line has 30 bytes; expected 20 at most",
                 {"cmdline": "x" * 30}),
        BadImage("large-initrd", good, f"the initrd needs {memory_mib} MiB", initrd=b"i" * (memory_mib * MIB)),
    ]


def main(arguments: list[str]) -> int:
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    folder = pathlib.Path(arguments[1])
    folder.mkdir(parents=True, exist_ok=True)
    for image in bad_images(pathlib.Path(arguments[0]).read_bytes()):
        (folder / image.name).write_bytes(image.kernel)
        print(f"{folder / image.name}: {image.message}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
