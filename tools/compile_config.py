#!/usr/bin/env python3
"""Compiles the description of the virtual machines (TOML) into the binary form that beaml4-init reads.

    [[vm]]
    name = "linux"            # unique; letters, digits, '-', '_', '.'
    memory = "128 MiB"        # or whole MiB as a number; a multiple of 2 MiB
    kernel = "vmlinux"        # paths are relative to the TOML file
    initrd = "initramfs.cpio" # optional
    cmdline = "console=ttyS0" # optional
    disks = ["root.img"]      # optional; up to 4 disk images, for virtio-blk
    mode = "auto"             # auto, vtx, svm, pv
    pages = "large"           # large (2 MiB) or small (4 KiB) second-level pages
    rtc = "emulated"          # emulated, or passthrough: the real clock's ports; for one VM at most
    boot = "auto"             # auto, pvh, linux64
    priority = 100            # 0 to 200
    affinity = [0]            # CPUs it may run on; left out: any
    autostart = true
    restart = "never"         # never, always, or how often at most: what happens after a crash

A mistake is reported as FILE:LINE: what; expected ….
"""

import argparse
import pathlib
import re
import struct
import sys
import tomllib

# The layout of ipc/vm_config.h.
MEMBER = "beaml4.config"
MAGIC = 0x31474643344C4D42
MAX_VMS = 16
NAME_BYTES, MEMBER_BYTES, CMDLINE_BYTES = 32, 96, 2048
DISKS_MAX, SECTOR_BYTES, DISK_BYTES_MAX = 4, 512, 1 << 31
VM_RECORD = struct.Struct(f"<{NAME_BYTES}sQ8IQ{MEMBER_BYTES}s{MEMBER_BYTES}s{CMDLINE_BYTES}s"
                          f"{DISKS_MAX * MEMBER_BYTES}s")
HEAD = struct.Struct("<QII")

MODES = ["auto", "vtx", "svm", "pv"]
PAGES = ["large", "small"]
RTCS = ["emulated", "passthrough"]
BOOTS = ["auto", "pvh", "linux64"]
RESTART_NEVER, RESTART_ALWAYS, RESTART_COUNT = range(3)

MIB = 1 << 20
MEMORY_STEP, MEMORY_MIN, MEMORY_MAX = 2 * MIB, 4 * MIB, 256 << 30
UNITS = {"MiB": MIB, "GiB": 1 << 30, "M": MIB, "G": 1 << 30}
RESERVED_MEMBERS = {MEMBER, "logserver", "timeserver", "screenserver", "dbgserver", "vmmserver", "virtioserver", "TRAILER!!!"}


class Mistake(Exception):
    """Something in the TOML file; LINE is where, counted from 1."""

    def __init__(self, line: int, what: str, expected: str):
        super().__init__(f"{what}; expected {expected}")
        self.line = line


class Places:
    """Where the tables and keys of a TOML text stand: tomllib gives values without lines."""

    def __init__(self, text: str):
        self.tables = []  # of each [[vm]]: its line, and the line of each key
        self.top = {}     # the line of each other table or top-level key
        keys, quotes = self.top, None
        for number, line in enumerate(text.splitlines(), 1):
            if quotes:  # inside a multi-line string
                if line.count(quotes) % 2:
                    quotes = None
                continue
            if re.match(r"\s*\[\[\s*(?:vm|\"vm\"|'vm')\s*\]\]", line):
                keys = {}
                self.tables.append((number, keys))
            elif table := re.match(r"\s*\[+\s*[\"']?([^\"'\].]+)", line):
                self.top.setdefault(table[1].strip(), number)
                keys = {}
            elif key := re.match(r"\s*(?:\"([^\"]*)\"|'([^']*)'|([A-Za-z0-9_-]+))\s*[.=]", line):
                keys.setdefault(key[1] or key[2] or key[3], number)
            for mark in ('"""', "'''"):
                if line.count(mark) % 2:
                    quotes = mark

    def of_vm(self, index: int, key: str | None = None) -> int:
        if index >= len(self.tables):
            return self.top.get("vm", 1)
        line, keys = self.tables[index]
        return keys.get(key, line)


class Machine:
    """One [[vm]] table, checked key by key."""

    def __init__(self, table: dict, index: int, places: Places, folder: pathlib.Path):
        self._table, self._index, self._places, self._folder = table, index, places, folder
        for key in table:
            if key not in self.KEYS:
                self._fail(key, f"unknown key {key!r}", "one of " + ", ".join(self.KEYS))
        for key in ("name", "memory", "kernel"):
            if key not in table:
                self._fail(None, f"this [[vm]] has no {key!r}", f"{key} = {self.KEYS[key]}")
        self.name = self._name()
        self.memory = self._memory()
        self.mode = self._choice("mode", MODES)
        self.pages = self._choice("pages", PAGES)
        self.rtc = self._choice("rtc", RTCS)
        self.boot = self._choice("boot", BOOTS)
        self.restart, self.restart_limit = self._restart()
        self.priority = self._integer("priority", 100, 0, 200)
        self.autostart = self._autostart()
        self.affinity = self._affinity()
        self.kernel = self._file("kernel")
        self.initrd = self._file("initrd")
        self.cmdline = self._cmdline()
        self.disks = self._disks()

    KEYS = {"name": '"linux"', "memory": '"128 MiB"', "kernel": '"PATH"', "initrd": '"PATH"', "cmdline": '"TEXT"',
            "mode": '"auto"', "pages": '"large"', "rtc": '"emulated"', "boot": '"auto"', "priority": "100",
            "affinity": "[0]", "autostart": "true", "restart": '"never"', "disks": '["PATH"]'}

    def line(self, key):
        return self._places.of_vm(self._index, key)

    def _fail(self, key, what, expected):
        raise Mistake(self.line(key), what, expected)

    def _text(self, key, default, expected):
        value = self._table.get(key, default)
        if not isinstance(value, str):
            self._fail(key, f"{key} is {describe(value)}", expected)
        return value

    def _name(self):
        expected = f"1 to {NAME_BYTES - 1} letters, digits, '-', '_' or '.' in quotes"
        name = self._text("name", "", expected)
        if not re.fullmatch(r"[A-Za-z0-9_.-]{1,%d}" % (NAME_BYTES - 1), name):
            self._fail("name", f"name {name!r} cannot be used", expected)
        return name

    def _memory(self):
        expected = f'a multiple of 2 MiB from {MEMORY_MIN // MIB} MiB to {MEMORY_MAX >> 30} GiB, as "128 MiB" or 128'
        value = self._table["memory"]
        if isinstance(value, int) and not isinstance(value, bool):
            size = value * MIB
        elif isinstance(value, str) and (parts := re.fullmatch(r"\s*(\d{1,9})\s*(MiB|GiB|M|G)\s*", value)):
            size = int(parts[1]) * UNITS[parts[2]]
        else:
            self._fail("memory", f"memory {value!r} is not an amount", expected)
        if size % MEMORY_STEP or not MEMORY_MIN <= size <= MEMORY_MAX:
            self._fail("memory", f"memory {value!r} cannot be had", expected)
        return size

    def _choice(self, key, choices):
        expected = "one of " + ", ".join(f'"{choice}"' for choice in choices)
        value = self._text(key, choices[0], expected)
        if value not in choices:
            self._fail(key, f"{key} {value!r} is unknown", expected)
        return choices.index(value)

    def _integer(self, key, default, low, high):
        value = self._table.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            self._fail(key, f"{key} is {describe(value)}", f"a whole number from {low} to {high}")
        return value

    def _restart(self):
        value = self._table.get("restart", "never")
        if value == "never":
            return RESTART_NEVER, 0
        if value == "always":
            return RESTART_ALWAYS, 0
        if isinstance(value, int) and not isinstance(value, bool) and 1 <= value < 1 << 32:
            return RESTART_COUNT, value
        self._fail("restart", f"restart is {describe(value)}", '"never", "always", or how often, from 1 on')

    def _autostart(self):
        value = self._table.get("autostart", True)
        if not isinstance(value, bool):
            self._fail("autostart", f"autostart is {describe(value)}", "true or false")
        return int(value)

    def _affinity(self):
        value = self._table.get("affinity", [])
        if not isinstance(value, list) or any(type(cpu) is not int or not 0 <= cpu < 64 for cpu in value):
            self._fail("affinity", f"affinity is {describe(value)}", "a list of CPU numbers from 0 to 63, as [0, 1]")
        return sum(1 << cpu for cpu in set(value))

    def _file(self, key):
        if key not in self._table:
            return None
        return self._path(key, self._text(key, "", "a path in quotes"))

    def _path(self, key, value):
        path = self._folder / value
        if not value or not path.is_file():
            self._fail(key, f"{key}: there is no file {str(path)!r}",
                       "a file, its path relative to the TOML file")
        return path.resolve()

    def _disks(self):
        value = self._table.get("disks", [])
        if not isinstance(value, list) or len(value) > DISKS_MAX or any(not isinstance(disk, str) for disk in value):
            self._fail("disks", f"disks is {describe(value)}", f'a list of up to {DISKS_MAX} paths, as ["root.img"]')
        paths = [self._path("disks", disk) for disk in value]
        for path in paths:
            size = path.stat().st_size
            if size == 0 or size % SECTOR_BYTES or size > DISK_BYTES_MAX:
                self._fail("disks", f"{str(path)!r} has {size} bytes",
                           "a disk image: a multiple of 512 bytes, up to 2 GiB, not empty")
        return paths

    def _cmdline(self):
        expected = f"a text of at most {CMDLINE_BYTES - 1} bytes without control characters"
        value = self._text("cmdline", "", expected)
        if len(value.encode()) >= CMDLINE_BYTES:
            self._fail("cmdline", f"cmdline has {len(value.encode())} bytes", expected)
        if any(ord(c) < 32 or ord(c) == 127 for c in value):
            self._fail("cmdline", "cmdline has a control character", expected)
        return value

    def record(self, members):
        def member(path):
            return members[path].encode() if path else b""
        disks = b"".join(member(path).ljust(MEMBER_BYTES, b"\0") for path in self.disks)
        return VM_RECORD.pack(self.name.encode(), self.memory, self.mode, self.pages, self.rtc, self.boot,
                              self.restart, self.restart_limit, self.priority, self.autostart, self.affinity,
                              member(self.kernel), member(self.initrd), self.cmdline.encode(), disks)


def describe(value):
    kind = {str: "the text", bool: "the truth value", int: "the number", float: "the number", list: "the list",
            dict: "the table"}.get(type(value), "the value")
    return f"{kind} {value!r}"


def member_names(paths) -> dict[pathlib.Path, str]:
    """A member name for each file: its base name, with a number where two files have the same."""
    names, taken = {}, set(RESERVED_MEMBERS)
    for path in paths:
        if path in names:
            continue
        base = path.name if not path.name.startswith(".pad") else "file" + path.name
        while len(base.encode()) > MEMBER_BYTES - 8:
            base = base[:-1]
        name, count = base, 1
        while name in taken:
            count += 1
            name = f"{base}.{count}"
        names[path] = name
        taken.add(name)
    return names


def machines(text: str, folder: pathlib.Path) -> list[Machine]:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        at = re.search(r" \(at line (\d+), column \d+\)", message)
        line = int(at[1]) if at else max(1, len(text.splitlines()))
        what = re.sub(r" \(at (line \d+, column \d+|end of document)\)", "", message)
        raise Mistake(line, f"not TOML: {what}", "TOML 1.0 (https://toml.io)") from None
    places = Places(text)
    for key in document:
        if key != "vm":
            raise Mistake(places.top.get(key, 1), f"unknown table or key {key!r}", "nothing but [[vm]] tables")
    tables = document.get("vm", [])
    if not isinstance(tables, list) or any(not isinstance(table, dict) for table in tables):
        raise Mistake(places.top.get("vm", 1), "vm is not a list of tables", "each machine under [[vm]]")
    if not tables:
        raise Mistake(1, "no machine is described", "a [[vm]] table at least")
    if len(tables) > MAX_VMS:
        raise Mistake(places.of_vm(MAX_VMS), f"{len(tables)} machines", f"{MAX_VMS} [[vm]] tables at most")
    found = []
    for index, table in enumerate(tables):
        machine = Machine(table, index, places, folder)
        for other in found:
            if other.name == machine.name:
                raise Mistake(machine.line("name"), f"a second machine called {machine.name!r}", "a name of its own")
            if other.rtc == machine.rtc == RTCS.index("passthrough"):
                raise Mistake(machine.line("rtc"), f"the clock's ports go to {other.name!r} already",
                              'rtc = "passthrough" in one [[vm]] at most')
        found.append(machine)
    return found


def compile_config(text: str, folder: pathlib.Path) -> tuple[bytes, dict[pathlib.Path, str]]:
    """The binary configuration, and the member name of each file that it speaks of."""
    found = machines(text, folder)
    members = member_names([path for vm in found for path in (vm.kernel, vm.initrd, *vm.disks) if path])
    binary = HEAD.pack(MAGIC, len(found), VM_RECORD.size) + b"".join(vm.record(members) for vm in found)
    return binary, members


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=pathlib.Path, metavar="FILE.TOML")
    parser.add_argument("output", type=pathlib.Path, metavar="OUT.CONFIG", help="the binary configuration to write")
    parser.add_argument("members", type=pathlib.Path, metavar="OUT.MEMBERS",
                        help="the list of archive members to write, one NAME=PATH a line, for pack.py --members")
    options = parser.parse_args(arguments)
    try:
        text = options.config.read_text(encoding="utf-8")
    except OSError as error:
        print(f"{options.config}:1: cannot be read: {error.strerror}; expected a TOML file", file=sys.stderr)
        return 1
    except UnicodeDecodeError as error:
        line = options.config.read_bytes()[:error.start].count(b"\n") + 1
        print(f"{options.config}:{line}: a byte that is not UTF-8; expected TOML in UTF-8", file=sys.stderr)
        return 1
    try:
        binary, members = compile_config(text, options.config.resolve().parent)
    except Mistake as mistake:
        print(f"{options.config}:{mistake.line}: {mistake}", file=sys.stderr)
        return 1
    try:
        options.output.write_bytes(binary)
        lines = [f"{MEMBER}={options.output.resolve()}"] + [f"{name}={path}" for path, name in members.items()]
        options.members.write_text("\n".join(lines) + "\n")
    except OSError as error:
        print(f"compile_config.py: cannot write {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
