"""Boots CD images in QEMU or Bochs and talks to the serial console.

    with Machine.boot(iso, "bochs") as machine:
        machine.expect("VM 0 .* is running")
"""
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import pexpect
import pexpect.fdpexpect

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import bochsrc  # noqa: E402
import compile_config as config_compiler  # noqa: E402

OUR_KERNEL = ROOT / "build/kernel.elf"

# Generous: the computer that tests run on may be slow, or busy with other tests.
CONNECT_SECONDS = 60
EXPECT_SECONDS = 240


def make_iso(config: str, folder: pathlib.Path, kernel: pathlib.Path = OUR_KERNEL) -> pathlib.Path:
    """A CD image of what is built, with the machines of CONFIG (TOML; paths in it absolute or relative to FOLDER)."""
    toml, iso = folder / "config.toml", folder / "system.iso"
    toml.write_text(config)
    done = subprocess.run([ROOT / "mkiso.sh", "--no-build", "--config", toml, "--output", iso],
                          env=dict(os.environ, SEL4_KERNEL=str(kernel)), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return iso


def servers() -> dict[str, pathlib.Path]:
    """The members that mkiso.sh packs for every system."""
    names = ("logserver", "timeserver", "screenserver", "dbgserver", "vmmserver", "virtioserver")
    return {name: ROOT / f"build/{name}.elf" for name in names}


def compile_config(config: str, folder: pathlib.Path) -> dict[str, bytes | pathlib.Path]:
    """The members that CONFIG makes: the compiled configuration and the files that it names."""
    binary, files = config_compiler.compile_config(config, folder)
    return {config_compiler.MEMBER: binary, **{name: path for path, name in files.items()}}


def pack_iso(members: dict[str, bytes | pathlib.Path], folder: pathlib.Path,
             kernel: pathlib.Path = OUR_KERNEL) -> pathlib.Path:
    """A CD image with exactly these archive members, good or bad, packed by hand as a user would do it."""
    arguments = []
    for number, (name, content) in enumerate(members.items()):
        if isinstance(content, bytes):
            path = folder / f"member{number}"
            path.write_bytes(content)
            content = path
        arguments.append(f"{name}={content}")
    system = folder / "system.elf"
    subprocess.run([sys.executable, ROOT / "tools/pack.py", ROOT / "build/beaml4-init.elf", system, *arguments],
                   check=True)
    return burn(system, folder, kernel)


def burn(system: pathlib.Path, folder: pathlib.Path, kernel: pathlib.Path = OUR_KERNEL) -> pathlib.Path:
    """A CD image that boots KERNEL with the boot module SYSTEM."""
    tree, iso = folder / "cd", folder / "system.iso"
    (tree / "boot/grub").mkdir(parents=True, exist_ok=True)
    shutil.copy(kernel, tree / "boot/kernel.elf")
    shutil.copy(system, tree / "boot/system.elf")
    (tree / "boot/grub/grub.cfg").write_text(
        "set timeout=0\nmenuentry test {\n multiboot /boot/kernel.elf\n module /boot/system.elf\n boot\n}\n")
    subprocess.run(["grub-mkrescue", "-o", iso, tree], check=True, capture_output=True)
    return iso


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def connect(address, process: subprocess.Popen) -> socket.socket:
    """The emulator's console; it is there as soon as the emulator is ready to run."""
    family = socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX
    deadline = time.monotonic() + CONNECT_SECONDS
    while True:
        connection = socket.socket(family)
        try:
            connection.connect(address)
            return connection
        except OSError:
            connection.close()
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the emulator did not start (exit status {process.poll()})") from None
            time.sleep(0.1)


class Machine:
    """A running emulator; use it as a context manager, or call close()."""

    def __init__(self, process: subprocess.Popen, connection: socket.socket, folder: tempfile.TemporaryDirectory):
        self.process, self._connection, self._folder = process, connection, folder
        self.transcript = ""
        self.console = pexpect.fdpexpect.fdspawn(connection, timeout=EXPECT_SECONDS, encoding="utf-8",
                                                 codec_errors="replace")
        self.console.logfile_read = self

    # pexpect writes what it reads to its log file, which is this object.
    def write(self, text: str) -> None:
        self.transcript += text

    def flush(self) -> None:
        pass

    @classmethod
    def boot(cls, iso: pathlib.Path, emulator: str, memory: int = 256, options: tuple[str, ...] = ()) -> "Machine":
        """Starts EMULATOR (qemu or bochs) with the CD; MEMORY is in MiB, OPTIONS are more arguments for QEMU."""
        folder = tempfile.TemporaryDirectory()
        here = pathlib.Path(folder.name)
        if emulator == "qemu":
            address = str(here / "console")
            command = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", str(memory), "-display", "none",
                       "-no-reboot", "-cdrom", str(iso), "-boot", "d",
                       "-chardev", f"socket,id=console,path={address},server=on,wait=on", "-serial", "chardev:console",
                       *options]
        else:
            address = ("127.0.0.1", free_port())
            (here / "bochsrc").write_text(bochsrc.bochsrc(str(iso), memory, "log", console_port=address[1]))
            (here / "commands").write_text("c\n")
            command = ["bochs", "-q", "-f", "bochsrc", "-rc", "commands"]
        process = subprocess.Popen(command, cwd=here, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        try:
            return cls(process, connect(address, process), folder)
        except BaseException:
            process.kill()
            process.wait()
            folder.cleanup()
            raise

    def expect(self, pattern: str, timeout: float = EXPECT_SECONDS):
        """Waits for PATTERN (a regular expression) on the console, gives the match; fails with the end of what came."""
        try:
            self.console.expect(pattern, timeout=timeout)
        except (pexpect.TIMEOUT, pexpect.EOF) as error:
            state = "ended" if isinstance(error, pexpect.EOF) else f"said nothing like it for {timeout} s"
            raise AssertionError(f"waiting for {pattern!r}: the machine {state}; its console:\n"
                                 f"{self.transcript[-4000:]}") from None
        return self.console.match

    def silent_for(self, pattern: str, seconds: float) -> None:
        """Fails when PATTERN appears within SECONDS."""
        try:
            self.console.expect(pattern, timeout=seconds)
        except pexpect.TIMEOUT:
            return
        raise AssertionError(f"{pattern!r} appeared; the console:\n{self.transcript[-4000:]}")

    def send(self, text: str) -> None:
        self.console.send(text)

    def alive(self) -> bool:
        return self.process.poll() is None

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._connection.close()
        self._folder.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *exception) -> None:
        self.close()
