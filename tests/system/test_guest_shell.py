"""The small guest with a prompt (guests/shell), interactively, with and without hardware virtualization."""
import re

import pytest

from machine import OUR_KERNEL, ROOT, Machine, make_iso

PROMPT = r"\n> "


@pytest.fixture(params=["shell", "shell-high"])
def image(request):
    return ROOT / f"build/guests/{request.param}.elf"


@pytest.fixture(params=["svm", "pv"])
def guest(request, image, tmp_path):
    config = f'[[vm]]\nname = "shell"\nmemory = "32 MiB"\nkernel = "{image}"\nboot = "linux64"\nmode = "{request.param}"\n'
    options = ["-cpu", "max,-svm"] if request.param == "pv" else []
    with Machine.boot(make_iso(config, tmp_path), "qemu", options=options) as machine:
        machine.expect(PROMPT)
        yield machine


def say(machine, line):
    machine.send(line + "\r")
    machine.expect(re.escape(line) + r"\s")


def test_processes_take_turns_and_end(guest):
    say(guest, "spawn count")
    guest.expect(r"\[0\] count")
    say(guest, "spawn primes")
    guest.expect(r"\[1\] primes: 9592\s")
    guest.expect(r"\[1\] primes has ended")
    say(guest, "ps")
    guest.expect(r"0  count     ready")
    say(guest, "kill 0")
    guest.expect(r"\[0\] count is ended")
    say(guest, "spawn clock")
    for number in range(1, 6):
        guest.expect(rf"\[0\] clock: {number}\s")
    guest.expect(r"\[0\] clock has ended")
    say(guest, "spawn fault")
    guest.expect(r"fault ended by exception 13, error 0")
    say(guest, "poweroff")
    guest.expect(r'VM 0 "shell" powered off')


def test_memory_of_processes_comes_back_and_mistakes_are_named(guest):
    say(guest, "mem")
    free = guest.expect(r"total, (\d+) free")[1]
    say(guest, "spawn count")
    guest.expect(PROMPT)
    say(guest, "kill 0")
    guest.expect(PROMPT)
    say(guest, "mem")
    assert guest.expect(r"total, (\d+) free")[1] == free
    say(guest, "kill 7")
    guest.expect(r"no such process")
    say(guest, "spawn nobody")
    guest.expect(r"no program 'nobody'")
    say(guest, "nonsense")
    guest.expect(r"unknown command 'nonsense'")
    say(guest, "help")
    guest.expect(r"uptime")


def test_bench_measures_everything_and_a_reboot_starts_again(guest):
    say(guest, "bench")
    for what in ("sti and cli", "write to a port", "null system call", "page fault on a fresh page",
                 "round of a compute loop", "timer interrupt", "change between two processes"):
        guest.expect(rf"bench: {what} +\d+ times, +\d+\.\d\d ticks each")
    guest.expect(r"bench: done")
    say(guest, "reboot")
    guest.expect(r"small guest is up")
