"""Bochs for the benchmarks: boots a CD image and waits for a line on the serial port."""

import pathlib
import re
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tools"))
from bochsrc import bochsrc  # noqa: E402


class BenchmarkError(Exception):
    """A benchmark did not get to its end; the text says what came instead."""


def boot(iso, until, memory=512, commands=("c",), seconds=900):
    """Boots ISO until the serial output matches UNTIL (a regular expression). COMMANDS are the debugger's.

    Answers the serial output and what the debugger printed.
    """
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        serial, debugger = work / "serial", work / "debugger"
        (work / "bochsrc").write_text(bochsrc(str(iso), memory, str(work / "log"), console_file=str(serial)))
        (work / "commands").write_text("\n".join(commands) + "\n")
        with open(debugger, "w") as output:
            process = subprocess.Popen(["bochs", "-q", "-f", "bochsrc", "-rc", "commands"], cwd=work,
                                       stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + seconds
        text = ""
        try:
            while not re.search(until, text, re.MULTILINE):
                if process.poll() is not None:
                    raise BenchmarkError(f"the emulator stopped; its last output:\n{text[-2000:]}")
                if time.monotonic() > deadline:
                    raise BenchmarkError(f"no {until!r} within {seconds} s; the last output:\n{text[-2000:]}")
                time.sleep(0.3)
                text = serial.read_text(errors="replace") if serial.exists() else ""
        finally:
            process.kill()
            process.wait()
        return text, debugger.read_text(errors="replace")


def iso_of(folder, output, grub_commands, modules):
    """Makes a CD image of FOLDER that GRUB boots by GRUB_COMMANDS, with GRUB's MODULES."""
    folder = pathlib.Path(folder)
    with tempfile.TemporaryDirectory() as work:
        script = pathlib.Path(work) / "grub.cfg"
        script.write_text("set root=cd\n" + grub_commands + "boot\n")
        subprocess.run(["grub-mkimage", "-O", "i386-pc-eltorito", "-p", "/boot", "-c", script,
                        "-o", folder / "grub.img", "biosdisk", "iso9660", *modules], check=True)
        subprocess.run(["xorriso", "-as", "mkisofs", "-quiet", "-V", "BENCH", "-b", "grub.img", "-no-emul-boot",
                        "-boot-load-size", "4", "-boot-info-table", "-o", output, folder], check=True,
                       stderr=subprocess.DEVNULL)
