#!/usr/bin/env python3
"""The benchmarks behind ./bench.sh, which builds what they need."""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

from emulator import EMULATORS, TOP, BenchmarkError

OUR_KERNEL = TOP / "build/kernel.elf"
LINUX = TOP / "build/images/linux-cloud.bzImage"
# Bochs sends no faster than the line's speed, by which a bare Linux would mostly be waiting for it at the usual 9600.
CMDLINE = "console=ttyS0,115200 panic=1 nokaslr mitigations=off"
GUEST_MIB = 128

EXIT_GOAL = 1500
KERNEL_GOALS = {"call+reply": 423, "call+reply-10": 1644, "foreign-fault": 600, "map": 400, "map-batch": 400,
                "yield": 277}
LINUX_GOAL = {"qemu": 1.15, "bochs": 1.25}
VM_BYTES_GOAL = 4 << 20

FIRST_PROCESS = r"^first process: tsc \d+\s"


def progress(text):
    print(f"[bench] {text}", file=sys.stderr, flush=True)


class Run:
    """An emulator, and the kernel that is measured in it."""

    def __init__(self, emulator, kernel_name, kernel):
        self.emulator, self.kernel_name, self.kernel = emulator, kernel_name, kernel
        self.type = EMULATORS[emulator]

    def __str__(self):
        return f"{self.type.name}, {self.kernel_name}"

    def row(self, name, value, unit, goal=None, compare=None):
        """One figure. GOAL is the largest that is good, for our kernel; COMPARE: figures that it comes of."""
        goal = goal if self.kernel == OUR_KERNEL else None
        return {"name": name, "emulator": self.type.name, "kernel": self.kernel_name, "value": value, "unit": unit,
                "goal": goal, "compare": compare or {}}


def find(pattern, text, what):
    match = re.search(pattern, text, re.MULTILINE)
    if not match:
        raise BenchmarkError(f"no {what} in the output:\n{text[-2000:]}")
    return int(match[1])


def runs(emulators):
    """Each emulator with our kernel, and Bochs with the one that SEL4_KERNEL names, which knows VT-x alone."""
    other = os.environ.get("SEL4_KERNEL")
    for emulator in emulators:
        yield Run(emulator, "our kernel", OUR_KERNEL)
        if other and emulator == "bochs":
            yield Run(emulator, "SEL4_KERNEL", pathlib.Path(other))


class Images:
    """What the benchmarks boot, made when it is first wanted."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.made = {}

    def system(self, name, config):
        """The boot module with the virtual machines of CONFIG."""
        if name not in self.made:
            (self.folder / f"{name}.toml").write_text(config)
            subprocess.run([TOP / "mkiso.sh", "--no-build", "--config", self.folder / f"{name}.toml",
                            "--output", self.folder / f"{name}.iso"], check=True, stderr=subprocess.DEVNULL,
                           env={key: value for key, value in os.environ.items() if key != "SEL4_KERNEL"})
            self.made[name] = self.folder / f"{name}.iso.system"
        return self.made[name]

    def exits(self):
        return self.system("exits", f"""\
[[vm]]
name = "exits"
memory = "16 MiB"
kernel = "{TOP}/build/guests/exits.elf"
""")

    def timers(self):
        """A monitor that measures instead of running a guest."""
        if "timers" not in self.made:
            toml = self.folder / "timers.toml"
            toml.write_text(f"""\
[[vm]]
name = "timers"
memory = "16 MiB"
kernel = "{TOP}/build/guests/exits.elf"
cmdline = "timer error"
""")
            names = ("logserver", "timeserver", "screenserver", "dbgserver", "virtioserver")
            members = [f"{name}={TOP}/build/{name}.elf" for name in names]
            listed = self.folder / "timers.members"
            subprocess.run([sys.executable, TOP / "tools/compile_config.py", toml, self.folder / "timers.config", listed],
                           check=True)
            self.made["timers"] = self.folder / "timers.system"
            subprocess.run([sys.executable, TOP / "tools/pack.py", "--members", listed,
                            TOP / "build/beaml4-init.elf", self.made["timers"], *members,
                            f"vmmserver={TOP}/build/testmonitor.elf"], check=True)
        return self.made["timers"]

    def linux(self):
        return self.system("linux", f"""\
[[vm]]
name = "linux"
memory = "{GUEST_MIB} MiB"
kernel = "{LINUX}"
initrd = "{self.initrd()}"
cmdline = "{CMDLINE}"
""")

    def initrd(self):
        path = self.folder / "initrd"
        if not path.exists():
            subprocess.run(["/usr/bin/python3", TOP / "tools/make_initramfs.py", "--init", TOP / "build/first_process",
                            path], check=True)
        return path

    def bare_ticks(self, machine_type):
        """Of Linux without a hypervisor, from its first instruction to its first process."""
        if machine_type not in self.made:
            progress(f"Linux bare in {machine_type.name}")
            with machine_type() as machine:
                text, begin = machine.boot_linux(LINUX, self.initrd(), CMDLINE, GUEST_MIB, FIRST_PROCESS)
            self.made[machine_type] = find(r"first process: tsc (\d+)", text, "first process") - begin
        return self.made[machine_type]


def ticks_by_name(pattern, text):
    figures = [(name, int(ticks)) for name, ticks in re.findall(pattern, text, re.MULTILINE)]
    if not figures:
        raise BenchmarkError(f"nothing was measured:\n{text[-2000:]}")
    return figures


def bench_exits(run, images):
    """Of a monitor that does nothing else, and of vmmserver."""
    with run.type() as machine:
        text = machine.boot_system(run.kernel, TOP / "build/vmexitbench.elf", r"^# done")
    for name, ticks in ticks_by_name(r"^bench (\S+): (\d+) ticks", text):
        yield run.row(f"exit {name}, bare monitor", ticks, "ticks", goal=EXIT_GOAL)
    with run.type() as machine:
        text = machine.boot_system(run.kernel, images.exits(), r"VM 0 .* powered off")
    for name, ticks in ticks_by_name(r"^exit (\S+): (\d+) ticks", text):
        yield run.row(f"exit {name}, vmmserver", ticks, "ticks",
                      goal=EXIT_GOAL if name in ("cpuid", "port-write") else None)


def bench_kernel(run, images):
    """Operations of the kernel between threads."""
    with run.type() as machine:
        text = machine.boot_system(run.kernel, TOP / "build/kernelbench.elf", r"^# done")
    for name, ticks in ticks_by_name(r"^bench (\S+): (\d+) ticks", text):
        yield run.row(f"kernel {name}", ticks, "ticks", goal=KERNEL_GOALS.get(name))


def bench_linux(run, images):
    bare = images.bare_ticks(run.type)
    with run.type() as machine:
        text = machine.boot_system(run.kernel, images.linux(), FIRST_PROCESS)
    ticks = find(r"first process: tsc (\d+)", text, "first process") - \
        find(r"monitor starts at tsc (\d+)", text, "line of the monitor's start")
    yield run.row("Linux to its first process", round(ticks / bare, 3), "x bare", goal=LINUX_GOAL[run.emulator],
                  compare={"in the VM": ticks, "bare": bare})


def image_bytes(path):
    """Code, data and zeroed memory of a program."""
    sizes = subprocess.run(["size", path], capture_output=True, text=True, check=True).stdout
    return int(sizes.splitlines()[1].split()[3])


def bench_memory(run, images):
    with run.type() as machine:
        text = machine.boot_system(run.kernel, images.linux(), r"VM 0 .* is running")
    yield run.row("kernel", image_bytes(run.kernel), "bytes")
    yield run.row("init", image_bytes(TOP / "build/beaml4-init.elf"), "bytes")
    for service, size in re.findall(r"^\[init\] (\S+) started, (\d+) KiB", text, re.MULTILINE):
        yield run.row(service, int(size) << 10, "bytes")
    overhead = find(r"\[init\] VM 0 .* started: .* and (\d+) KiB for its monitor", text, "VM's memory") << 10
    yield run.row("a VM, beside its RAM", overhead, "bytes", goal=VM_BYTES_GOAL)


def bench_start(run, images):
    """From the beginning of a VM's creation to its guest's first instruction, but for the call that reports it."""
    for name, module in (("exits", images.exits()), ("Linux", images.linux())):
        with run.type() as machine:
            text = machine.boot_system(run.kernel, module, r"VM 0 .* is running")
        yield run.row(f"start of a VM, {name}", find(r"guest (\d+) ticks after", text, "line of the guest's start"), "ticks")


def bench_timers(run, images):
    """How late timers are that timeserver signals, from the deadline to the client's next instruction."""
    with run.type() as machine:
        text = machine.boot_system(run.kernel, images.timers(), r"VM 0 .* powered off")
    match = re.search(r"timer error of \d+: p50 (\d+) p99 (\d+) max (\d+) ticks, (\d+) ticks a second", text)
    if not match:
        raise BenchmarkError(f"nothing was measured:\n{text[-2000:]}")
    for name, ticks in zip(("p50", "p99", "max"), match.groups()):
        yield run.row(f"timer error {name}", round(int(ticks) * 1_000_000_000 / int(match[4])), "ns")


BENCHMARKS = {"exits": bench_exits, "kernel": bench_kernel, "linux": bench_linux, "memory": bench_memory,
              "timers": bench_timers, "start": bench_start}


def cell(figure):
    missed = figure["goal"] is not None and figure["value"] > figure["goal"]
    return f"{figure['value']}{' (missed)' if missed else ''}"


def show(rows):
    """A table with a line for each benchmark and a column for each run."""
    columns = list(dict.fromkeys((r["emulator"], r["kernel"]) for r in rows))
    lines = {}
    for r in rows:
        lines.setdefault((r["name"], r["unit"]), {})[r["emulator"], r["kernel"]] = r
    table = [["", *(emulator for emulator, _ in columns), ""], ["", *(kernel for _, kernel in columns), "goal"]]
    for (name, unit), figures in lines.items():
        goals = dict.fromkeys(str(r["goal"]) for r in figures.values() if r["goal"] is not None)
        table.append([f"{name}, {unit}", *(cell(figures[c]) if c in figures else "" for c in columns),
                      " or ".join(goals)])
    widths = [max(len(line[i]) for line in table) for i in range(len(columns) + 2)]
    for line in table:
        print("  ".join(f"{text:<{width}}" if i == 0 else f"{text:>{width}}"
                        for i, (text, width) in enumerate(zip(line, widths))).rstrip())
    for r in rows:
        if r["compare"]:
            print(f"{r['name']} ({r['emulator']}, {r['kernel']}): "
                  + ", ".join(f"{name} {value} ticks" for name, value in r["compare"].items()))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--emulator", choices=EMULATORS, help="only this one (default: both)")
    parser.add_argument("--json", default=TOP / "build/bench.json", metavar="FILE")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"no benchmark {unknown[0]!r}: there are {', '.join(BENCHMARKS)}")
    rows, failed = [], False
    with tempfile.TemporaryDirectory() as folder:
        images = Images(folder)
        for name in options.names or BENCHMARKS:
            for run in runs([options.emulator] if options.emulator else EMULATORS):
                progress(f"{name} in {run}")
                try:
                    rows += BENCHMARKS[name](run, images)
                except BenchmarkError as error:
                    failed = True
                    print(f"[bench] {name} in {run}: {error}", file=sys.stderr, flush=True)
    if rows:
        show(rows)
    pathlib.Path(options.json).write_text(json.dumps(rows, indent=2) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
