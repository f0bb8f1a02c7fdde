#!/usr/bin/env python3
"""The benchmarks behind ./bench.sh, which builds what they need."""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from emulator import TOP, BenchmarkError, boot, iso_of

CMDLINE = "console=ttyS0 panic=1 nokaslr mitigations=off"
GUEST_MIB = 128

# The bare kernel's first instruction: where GRUB puts the 32-bit code of a bzImage.
KERNEL_ENTRY = 0x100000

CONFIG = f"""\
[[vm]]
name = "linux"
memory = "{GUEST_MIB} MiB"
kernel = "{{kernel}}"
initrd = "{{initrd}}"
cmdline = "{CMDLINE}"
"""


def progress(text):
    print(f"[bench] {text}", file=sys.stderr, flush=True)


def row(name, value, unit, goal=None, compare=None, note=""):
    """One line of the result; COMPARE: name and figure of what it is measured against."""
    return {"name": name, "value": value, "unit": unit, "goal": goal, "compare": compare, "note": note}


def find(pattern, text, what):
    match = re.search(pattern, text, re.MULTILINE)
    if not match:
        raise BenchmarkError(f"no {what} in the output:\n{text[-2000:]}")
    return int(match[1])


def kernels():
    """Ours, and the one that SEL4_KERNEL names."""
    yield "ours", TOP / "build/kernel.elf"
    if os.environ.get("SEL4_KERNEL"):
        yield "SEL4_KERNEL", pathlib.Path(os.environ["SEL4_KERNEL"])


def bench_exits():
    figures = {}
    for name, kernel in kernels():
        progress(f"exits on {name}")
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(kernel, f"{folder}/kernel.elf")
            shutil.copy(TOP / "build/vmexitbench.elf", f"{folder}/root.elf")
            iso_of(folder, f"{folder}.iso", "multiboot /kernel.elf\nmodule /root.elf\n", ["multiboot", "normal"])
            try:
                text, _ = boot(f"{folder}.iso", r"^# done")
            finally:
                os.unlink(f"{folder}.iso")
        for exit_name, ticks in re.findall(r"^bench (\S+): (\d+) ticks", text, re.MULTILINE):
            figures.setdefault(exit_name, {})[name] = int(ticks)
    for exit_name, by_kernel in figures.items():
        yield row(f"{exit_name} exit", by_kernel["ours"], "ticks", goal="<= 1500, <= the other kernel's",
                  compare={k: v for k, v in by_kernel.items() if k != "ours"})


def linux_initrd(folder):
    path = f"{folder}/initrd"
    subprocess.run(["/usr/bin/python3", TOP / "tools/make_initramfs.py", "--init", TOP / "build/first_process", path],
                   check=True)
    return path


def linux_bare():
    """Ticks from the kernel's first instruction to the first process, without a hypervisor."""
    with tempfile.TemporaryDirectory() as folder:
        linux_initrd(folder)
        shutil.copy(TOP / "build/images/linux-cloud.bzImage", f"{folder}/vmlinuz")
        iso_of(folder, f"{folder}.iso", f"linux /vmlinuz {CMDLINE}\ninitrd /initrd\n", ["linux", "normal"])
        try:
            text, debugger = boot(f"{folder}.iso", r"^first process: tsc \d+", memory=GUEST_MIB,
                                  commands=(f"pb {KERNEL_ENTRY:#x}", "c", "ptime", "bpd 1", "c"))
        finally:
            os.unlink(f"{folder}.iso")
    return find(r"first process: tsc (\d+)", text, "first process") - find(r"ptime: (\d+)", debugger, "kernel entry")


def linux_in_vm(kernel):
    """The same from the monitor's start, in a VM; also the text of the whole boot."""
    with tempfile.TemporaryDirectory() as folder:
        initrd = linux_initrd(folder)
        config = pathlib.Path(folder) / "config.toml"
        config.write_text(CONFIG.format(kernel=TOP / "build/images/linux-cloud.bzImage", initrd=initrd))
        subprocess.run([TOP / "mkiso.sh", "--no-build", "--config", config, "--output", f"{folder}/vm.iso"],
                       check=True, env=dict(os.environ, SEL4_KERNEL=str(kernel)))
        text, _ = boot(f"{folder}/vm.iso", r"^first process: tsc \d+")
    ticks = find(r"first process: tsc (\d+)", text, "first process") - find(r"monitor starts at tsc (\d+)", text,
                                                                            "line of the monitor's start")
    return ticks, text


def bench_linux():
    progress("Linux bare")
    bare = linux_bare()
    for name, kernel in kernels():
        progress(f"Linux in a VM on {name}")
        ticks, _ = linux_in_vm(kernel)
        yield row(f"Linux to its first process, {name}", round(ticks / bare, 3), "x bare", goal="<= 1.25",
                  compare={"bare ticks": bare, "VM ticks": ticks})


def bench_memory():
    progress("memory of a VM")
    _, text = linux_in_vm(TOP / "build/kernel.elf")
    sizes = subprocess.run(["size", "-A", TOP / "build/kernel.elf"], capture_output=True, text=True, check=True).stdout
    yield row("kernel image", find(r"^Total\s+(\d+)", sizes, "size"), "bytes")
    for service, size in re.findall(r"^\[init\] (\S+) uses (\d+) bytes", text, re.MULTILINE):
        yield row(f"{service}, memory", int(size), "bytes")
    overhead = find(r"\[init\] VM 0 .*, (\d+) bytes besides its guest's RAM", text, "line about the VM's memory")
    yield row("VM besides guest RAM", overhead, "bytes", goal=f"<= {4 << 20}")


BENCHMARKS = {"exits": bench_exits, "linux": bench_linux, "memory": bench_memory}


def show(rows):
    width = max(len(r["name"]) for r in rows)
    for r in rows:
        compared = ", ".join(f"{name} {value}" for name, value in (r["compare"] or {}).items())
        print(f"{r['name']:<{width}}  {r['value']:>12} {r['unit']:<7}"
              + (f"  goal {r['goal']}" if r["goal"] else "") + (f"  ({compared})" if compared else ""))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--json", default=TOP / "build/bench.json", metavar="FILE")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"no benchmark {unknown[0]!r}: there are {', '.join(BENCHMARKS)}")
    rows, failed = [], False
    for name in options.names or BENCHMARKS:
        try:
            rows += list(BENCHMARKS[name]())
        except BenchmarkError as error:
            failed = True
            print(f"[bench] {name}: {error}", file=sys.stderr)
    if rows:
        show(rows)
    pathlib.Path(options.json).write_text(json.dumps(rows, indent=2) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
