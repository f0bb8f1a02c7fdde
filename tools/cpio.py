"""Writes cpio archives in the "newc" format (cpio(5); Linux Documentation/driver-api/early-userspace/buffer-format.rst)."""

import stat


class Archive:
    """An archive under construction; bytes() gives the finished file."""

    def __init__(self):
        self._data = bytearray()
        self._inode = 0

    def add(self, name: str, data: bytes = b"", mode: int = stat.S_IFREG | 0o644, rdev: tuple[int, int] = (0, 0)):
        """Appends one entry: a file, a directory, a symbolic link (DATA is its target) or a device node."""
        self._inode += 1
        self._entry(name, data, self._inode, mode, rdev)

    def pad_data_to(self, alignment: int, next_name: str):
        """Makes the data of the next entry, called NEXT_NAME, begin at a multiple of ALIGNMENT."""
        fill = -(len(self._data) + _header_length(next_name)) % alignment
        if fill == 0:
            return
        name = ".pad"
        while fill < _header_length(name):
            fill += alignment
        self.add(name, bytes(fill - _header_length(name)))

    def bytes(self) -> bytes:
        """The archive with its trailer."""
        finished = Archive()
        finished._data = bytearray(self._data)
        finished._entry("TRAILER!!!", b"", 0, 0, (0, 0))
        return bytes(finished._data)

    def _entry(self, name, data, inode, mode, rdev):
        fields = (inode, mode, 0, 0, 2 if stat.S_ISDIR(mode) else 1, 0, len(data), 0, 0, *rdev, len(name) + 1, 0)
        self._data += b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        self._align()
        self._data += data
        self._align()

    def _align(self):
        self._data += bytes(-len(self._data) % 4)


def _header_length(name: str) -> int:
    return (110 + len(name.encode()) + 1 + 3) // 4 * 4
