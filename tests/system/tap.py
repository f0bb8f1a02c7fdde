"""Boots a kernel with a root task that prints TAP, in QEMU or Bochs, and reads what came.

    tap.py [--emulator qemu|bochs] [--timeout SECONDS] [KERNEL [ROOT_TASK]]
"""
import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
from bochsrc import bochsrc  # noqa: E402


@dataclass
class Case:
    name: str
    passed: bool
    skipped: str = ""
    notes: list = field(default_factory=list)


@dataclass
class Run:
    output: str
    cases: list
    finished: bool  # the program reached its end


def parse(output):
    """The cases of a TAP output, each with the comment lines since the one before."""
    cases, notes = [], []
    for line in output.replace("\r", "").split("\n"):
        result = re.match(r"(not )?ok \d+ - ([^#]*?)(?: # SKIP (.*))?$", line)
        if result:
            cases.append(Case(result[2].strip(), not result[1], result[3] or "", notes))
            notes = []
        elif line and not line.startswith("# run "):
            notes.append(line)
    return Run(output, cases, re.search(r"^# done\s*$", output, re.M) is not None)


def wait_for_end(process, output_file, timeout):
    """Lets the emulator run until the program's last line, its own exit, or the deadline; then ends it."""
    deadline = time.monotonic() + timeout
    try:
        while time.monotonic() < deadline and process.poll() is None:
            if output_file.exists() and b"# done" in output_file.read_bytes():
                break
            time.sleep(0.2)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
    return output_file.read_text(errors="replace") if output_file.exists() else ""


def run_qemu(kernel, root_task, timeout=120, extra=()):
    with tempfile.TemporaryDirectory() as directory:
        serial = pathlib.Path(directory) / "serial.txt"
        command = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "512", "-display", "none", "-no-reboot",
                   "-kernel", str(kernel), "-initrd", str(root_task), "-serial", f"file:{serial}",
                   "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04", *extra]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        return parse(wait_for_end(process, serial, timeout))


def make_iso(kernel, root_task, directory, protocol=1, commands=""):
    """A CD on which GRUB, after COMMANDS, boots KERNEL by Multiboot 1 or 2 with ROOT_TASK as its module."""
    tree = directory / "iso"
    (tree / "boot/grub").mkdir(parents=True)
    shutil.copy(kernel, tree / "kernel.elf")
    shutil.copy(root_task, tree / "root.elf")
    suffix = "2" if protocol == 2 else ""
    (tree / "boot/grub/grub.cfg").write_text(
        f"set timeout=0\nmenuentry test {{\n {commands}\n multiboot{suffix} /kernel.elf\n"
        f" module{suffix} /root.elf\n boot\n}}\n")
    iso = directory / "test.iso"
    subprocess.run(["grub-mkrescue", "-o", str(iso), str(tree)], check=True, capture_output=True)
    return iso


def run_bochs(kernel, root_task, timeout=300):
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        iso = make_iso(kernel, root_task, directory)
        serial = directory / "serial.txt"
        (directory / "bochsrc").write_text(bochsrc(str(iso), 512, str(directory / "log.txt"), console_file=str(serial)))
        (directory / "commands").write_text("c\n")
        process = subprocess.Popen(["bochs", "-q", "-f", "bochsrc", "-rc", "commands"], cwd=directory,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return parse(wait_for_end(process, serial, timeout))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--emulator", choices=["qemu", "bochs"], default="qemu")
    parser.add_argument("--timeout", type=float, default=300)
    parser.add_argument("kernel", nargs="?", default=ROOT / "build/kernel.elf")
    parser.add_argument("root_task", nargs="?", default=ROOT / "build/kerneltest.elf")
    options = parser.parse_args()
    boot = run_qemu if options.emulator == "qemu" else run_bochs
    run = boot(options.kernel, options.root_task, options.timeout)
    print(run.output)
    failed = [case.name for case in run.cases if not case.passed]
    print(f"{len(run.cases)} cases, failed: {', '.join(failed) or 'none'}, "
          f"{'finished' if run.finished else 'NOT FINISHED'}")
    return 0 if run.finished and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
