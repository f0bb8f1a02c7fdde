"""Makes small ELF files, right or wrong in chosen ways."""
import struct
from dataclasses import dataclass, field

HLT_LOOP = b"\xf4\xeb\xfd"
PT_LOAD = 1


@dataclass
class Segment:
    address: int = 0x400000
    content: bytes = HLT_LOOP
    memory_size: int | None = None  # that of the content
    file_size: int | None = None
    offset: int | None = None
    type: int = PT_LOAD


@dataclass
class Elf:
    segments: list = field(default_factory=lambda: [Segment()])
    entry: int | None = None  # the first segment's address
    ident: bytes = b"\x7fELF\x02\x01\x01"
    type: int = 2  # ET_EXEC
    machine: int = 62  # x86-64
    header_offset: int = 64
    header_count: int | None = None

    def encode(self) -> bytes:
        data_offset = (64 + 56 * len(self.segments) + 4095) & ~4095
        headers, data = b"", b""
        for s in self.segments:
            offset = data_offset + len(data) if s.offset is None else s.offset
            file_size = len(s.content) if s.file_size is None else s.file_size
            memory_size = len(s.content) if s.memory_size is None else s.memory_size
            headers += struct.pack("<IIQQQQQQ", s.type, 7, offset, s.address, s.address, file_size, memory_size, 4096)
            data += s.content + bytes(-len(s.content) % 4096)
        entry = self.entry if self.entry is not None else self.segments[0].address if self.segments else 0
        count = len(self.segments) if self.header_count is None else self.header_count
        header = self.ident.ljust(16, b"\0") + struct.pack(
            "<HHIQQQIHHHHHH", self.type, self.machine, 1, entry, self.header_offset, 0, 0, 64, 56, count, 0, 0, 0)
        return (header + headers).ljust(data_offset, b"\0") + data
