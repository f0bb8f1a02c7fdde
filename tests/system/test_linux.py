"""Debian's own kernels, unmodified, as guests: to the shell and back, by each way to start them."""
import datetime
import re
import time

import pytest
from conftest import everywhere, quickly
from machine import ROOT, Machine, make_iso

IMAGES = ROOT / "build/images"
PROMPT = r"root# "
TOTALS = r"\[init\] memory: (\d+) bytes free, (\d+) slots free\s"
BOOT_SECONDS = 400


def linux(kernel, memory="128 MiB", **options):
    for path in (IMAGES / kernel, IMAGES / "initramfs.cpio"):
        if not path.exists():
            pytest.skip(f"{path} is not there: ./test.sh fetches it")
    settings = {"name": "linux", "memory": memory, "kernel": str(IMAGES / kernel),
                "initrd": str(IMAGES / "initramfs.cpio"),
                "cmdline": "console=ttyS0 panic=1 nokaslr mitigations=off", **options}
    return "[[vm]]\n" + "".join(f'{key} = "{value}"\n' for key, value in settings.items())


def boot(config, folder, computer, memory=512):
    return Machine.boot(make_iso(config, folder, computer.kernel), computer.emulator, memory=memory)


def wait_for_shell(machine):
    machine.expect(PROMPT, timeout=BOOT_SECONDS)


def run(machine, command, timeout=60):
    """What COMMAND prints in the guest's shell."""
    machine.send(f"{command}; echo end-$((40+2))\n")
    machine.expect(r"end-\$\(\(40\+2\)\)\r+\n")
    output = machine.expect(r"(?s)(.*)end-42", timeout=timeout)[1]
    machine.expect(PROMPT)
    return output.replace("\r", "")


def power_off(machine):
    machine.send("poweroff\n")
    machine.expect(r"\[vmm0\] (\d+) exits", timeout=120)
    machine.expect(r'VM 0 "linux" powered off')
    machine.expect(TOTALS)
    machine.expect(r"no VM is running; the rest of the system stays up")


def release(kind):
    return (IMAGES / f"linux-{kind}.release").read_text().strip()


def check_commands(machine):
    assert run(machine, "uname -r").strip() == release("cloud")
    total = int(re.search(r"Mem:\s+(\d+)", run(machine, "free -k"))[1])
    assert 80_000 < total < 131_072
    cpuinfo = run(machine, "cat /proc/cpuinfo")
    assert re.search(r"model name\s+: \S", cpuinfo) and "hypervisor" in cpuinfo
    assert cpuinfo.count("processor\t") == 1
    assert "Command line: console=ttyS0 panic=1 nokaslr mitigations=off" in run(machine, "dmesg")
    assert "x2apic" in run(machine, "dmesg | grep -i x2apic").lower()


def check_clock(machine):
    """The emulators' real-time clock starts at the time of this computer; what it shows passes at the guest's own rate."""
    started = time.time()
    begin = int(run(machine, "date +%s"))
    assert abs(begin - started) < datetime.timedelta(days=1).total_seconds()
    before, after = map(int, run(machine, "date +%s; sleep 2; date +%s").split())
    assert 2 <= after - before <= 3
    clock = run(machine, "cat /sys/devices/system/clocksource/clocksource0/current_clocksource")
    assert clock.strip() == "tsc"
    assert "unstable" not in run(machine, "dmesg | grep -i unstable")


@everywhere
def test_a_guest_gets_to_its_shell_answers_reboots_and_reboots_after_a_panic(tmp_path, computer):
    with boot(linux("linux-cloud.vmlinux"), tmp_path, computer) as machine:
        machine.expect(rf"\[init\] time-stamp counter .*, hardware virtualization: {computer.virtualization}\s")
        before = machine.expect(TOTALS).groups()
        machine.expect(r'VM 0 "linux" is running')
        wait_for_shell(machine)
        check_commands(machine)
        check_clock(machine)
        # More than the serial port's FIFO holds, and back.
        line = "".join(chr(ord("a") + i % 26) for i in range(700))
        assert run(machine, f"echo {line}").split() == [line]

        machine.send("reboot\n")
        machine.expect(r'VM 0 "linux" reboots')
        assert machine.expect(TOTALS).groups() == before
        machine.expect(r'VM 0 "linux" is running')
        wait_for_shell(machine)
        machine.send("echo c > /proc/sysrq-trigger\n")
        machine.expect(r"Kernel panic - not syncing: sysrq triggered crash")
        machine.expect(r'VM 0 "linux" reboots', timeout=120)
        assert machine.expect(TOTALS).groups() == before
        machine.expect(r'VM 0 "linux" is running')


@quickly
def test_a_bzimage_in_small_pages_with_the_machine_s_own_clock(tmp_path, computer):
    with boot(linux("linux-cloud.bzImage", pages="small", rtc="passthrough"), tmp_path, computer) as machine:
        before = machine.expect(TOTALS).groups()
        wait_for_shell(machine)
        # The emulator counts the seconds of this clock, the guest counts ticks of the TSC.
        times = "cat /sys/class/rtc/rtc0/since_epoch; date +%s"
        rtc_before, date_before, rtc_after, date_after = map(int, run(machine, f"{times}; sleep 8; {times}").split())
        assert 8 <= date_after - date_before <= 9
        assert abs((rtc_after - rtc_before) - (date_after - date_before)) <= 1
        machine.send("poweroff\n")
        machine.expect(r'VM 0 "linux" powered off', timeout=120)
        assert machine.expect(TOTALS).groups() == before


@quickly
def test_vmlinux_by_linux_s_64_bit_protocol(tmp_path, computer):
    config = linux("linux-cloud.vmlinux", memory="300 MiB", boot="linux64")
    with boot(config, tmp_path, computer, memory=768) as machine:
        wait_for_shell(machine)
        # 256 MiB from 0 on, the rest from 128 GiB on.
        iomem = run(machine, "cat /proc/iomem")
        assert re.search(r"^00100000-0fffffff : System RAM$", iomem, re.MULTILINE)
        assert re.search(r"^2000000000-2002bfffff : System RAM$", iomem, re.MULTILINE)
        # Linux sets 64 MiB aside for devices that cannot reach beyond 4 GiB. The rest takes more than one region has.
        run(machine, "mount -o remount,size=100% /")
        output = run(machine, "dd if=/dev/zero of=/tmp/full bs=1M count=150 2>&1; wc -c </tmp/full", timeout=120)
        assert str(150 << 20) in output
        power_off(machine)


@quickly
def test_the_kernel_for_all_machines(tmp_path, computer):
    with boot(linux("linux-generic.vmlinux", memory="192 MiB"), tmp_path, computer) as machine:
        wait_for_shell(machine)
        assert run(machine, "uname -r").strip() == release("generic")
        power_off(machine)
