"""The emulators of the benchmarks. Each boots a system or a bare Linux, and waits for a line on the serial port.

In both, ticks are counted instructions: the time-stamp counter of Bochs counts them by itself, that of QEMU with
-icount shift=0.
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

from gdb_remote import Gdb

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tools"))
from bochsrc import bochsrc  # noqa: E402

MEMORY_MIB = 512


class BenchmarkError(Exception):
    """A benchmark did not get to its end; the text says what came instead."""


def header_word(bzimage, offset, length):
    """A field of the setup header (Linux, Documentation/arch/x86/boot.rst)."""
    with open(bzimage, "rb") as file:
        file.seek(offset)
        return int.from_bytes(file.read(length), "little")


class Emulator:
    """A run of an emulator, as a context manager."""

    name = None
    seconds = 900

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory()
        self.folder = pathlib.Path(self._folder.name)
        self.serial = self.folder / "serial"
        self.process = None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.process:
            self.process.kill()
            self.process.wait()
        self._folder.cleanup()

    def start(self, command, output=subprocess.DEVNULL):
        self.process = subprocess.Popen(command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=output,
                                        stderr=subprocess.STDOUT)

    def output(self):
        return self.serial.read_text(errors="replace") if self.serial.exists() else ""

    def wait(self, until):
        """Waits until the serial output matches UNTIL (a regular expression), and gives all of it."""
        deadline = time.monotonic() + self.seconds
        while not re.search(until, self.output(), re.MULTILINE):
            if self.process.poll() is not None:
                raise BenchmarkError(f"{self.name} stopped; its last output:\n{self.output()[-2000:]}")
            if time.monotonic() > deadline:
                raise BenchmarkError(f"no {until!r} within {self.seconds} s; the last output:\n"
                                     f"{self.output()[-2000:]}")
            time.sleep(0.3)
        return self.output()

    def boot_system(self, kernel, module, until):
        """Boots KERNEL with the root task MODULE; the serial output up to UNTIL."""
        raise NotImplementedError

    def boot_linux(self, bzimage, initrd, cmdline, memory, until):
        """Boots Linux alone. The serial output up to UNTIL, and the time-stamp counter at Linux' first instruction,
        which is that of the 32-bit code that unpacks the kernel."""
        raise NotImplementedError


class Qemu(Emulator):
    name = "QEMU, AMD-V"

    def command(self, memory, kernel, initrd, *options):
        # The clocks of the machine run with its instructions, and start at the same time each run.
        return ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-icount", "shift=0,sleep=off",
                "-rtc", "base=2026-01-01,clock=vm", "-m", str(memory), "-display", "none", "-no-reboot",
                "-serial", f"file:{self.serial}", "-kernel", str(kernel), "-initrd", str(initrd), *options]

    def boot_system(self, kernel, module, until):
        self.start(self.command(MEMORY_MIB, kernel, module))
        return self.wait(until)

    def boot_linux(self, bzimage, initrd, cmdline, memory, until):
        debugger = str(self.folder / "debugger")
        self.start(self.command(memory, bzimage, initrd, "-append", cmdline, "-S", "-gdb", "chardev:debugger",
                                "-chardev", f"socket,id=debugger,path={debugger},server=on,wait=off"))
        try:
            gdb = Gdb(debugger)
            gdb.run_to(header_word(bzimage, 0x214, 4))  # code32_start: where QEMU puts it
            begin = gdb.tsc()
            gdb.resume()
        except OSError as error:
            raise BenchmarkError(f"QEMU's debugger: {error}") from None
        return self.wait(until), begin


class Bochs(Emulator):
    name = "Bochs, VT-x"

    def boot(self, files, script, grub_modules, memory, commands):
        """Boots a CD with FILES (a path for each name) by the lines of SCRIPT, with the debugger's COMMANDS."""
        tree, iso = self.folder / "cd", self.folder / "cd.iso"
        tree.mkdir()
        for name, path in files.items():
            shutil.copy(path, tree / name)
        (self.folder / "grub.cfg").write_text("\n".join(["set root=cd", *script, "boot", ""]))
        subprocess.run(["grub-mkimage", "-O", "i386-pc-eltorito", "-p", "/boot", "-c", self.folder / "grub.cfg",
                        "-o", tree / "grub.img", "biosdisk", "iso9660", *grub_modules], check=True)
        subprocess.run(["xorriso", "-as", "mkisofs", "-quiet", "-V", "BENCH", "-b", "grub.img", "-no-emul-boot",
                        "-boot-load-size", "4", "-boot-info-table", "-o", iso, tree], check=True,
                       stderr=subprocess.DEVNULL)
        (self.folder / "bochsrc").write_text(bochsrc(str(iso), memory, str(self.folder / "log"),
                                                     console_file=str(self.serial)))
        (self.folder / "commands").write_text("\n".join([*commands, ""]))
        with open(self.folder / "debugger", "w", encoding="ascii") as output:
            self.start(["bochs", "-q", "-f", "bochsrc", "-rc", "commands"], output)

    def boot_system(self, kernel, module, until):
        self.boot({"kernel.elf": kernel, "system.elf": module}, ["multiboot /kernel.elf", "module /system.elf"],
                  ["multiboot", "normal"], MEMORY_MIB, ["c"])
        return self.wait(until)

    def boot_linux(self, bzimage, initrd, cmdline, memory, until):
        entry = header_word(bzimage, 0x258, 8)  # pref_address: GRUB loads it there, where that is free
        self.boot({"vmlinuz": bzimage, "initrd": initrd}, [f"linux /vmlinuz {cmdline}", "initrd /initrd"],
                  ["linux", "normal"], memory, [f"pb {entry:#x}", "c", "ptime", "bpd 1", "c"])
        text = self.wait(until)
        stopped = re.search(r"^ptime: (\d+)", (self.folder / "debugger").read_text(errors="replace"), re.MULTILINE)
        if not stopped:
            raise BenchmarkError("Bochs did not stop at Linux' first instruction")
        return text, int(stopped[1])


EMULATORS = {"qemu": Qemu, "bochs": Bochs}
