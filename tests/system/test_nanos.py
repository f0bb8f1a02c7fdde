"""Upstream's Nanos, unmodified, to its user program: NANOS_KERNEL names the kernel, NANOS_DISK the disk image, NANOS_PRINTS
what the program prints (docs/guests.md says how they are made). Skipped without the first two."""
import os
import pathlib

import pytest
from conftest import everywhere
from machine import Machine, make_iso
from test_linux import TOTALS

PRINTS = os.environ.get("NANOS_PRINTS", "hello")


def file_of(variable):
    if not os.environ.get(variable):
        pytest.skip(f"{variable} names no file")
    return pathlib.Path(os.environ[variable]).resolve()


def nanos(**settings):
    settings = {"name": "nanos", "memory": "128 MiB", "kernel": str(file_of("NANOS_KERNEL")), "boot": "linux64",
                "cmdline": "virtio_mmio.device=512@0xfeb00000:16", **settings}
    return ("[[vm]]\n" + "".join(f'{key} = "{value}"\n' for key, value in settings.items())
            + f'disks = ["{file_of("NANOS_DISK")}"]\n')


def assert_runs(machine):
    before = machine.expect(TOTALS).groups()
    machine.expect(r'VM 0 "nanos" is running')
    machine.expect(PRINTS)
    machine.expect(r'VM 0 "nanos" powered off')
    assert machine.expect(TOTALS).groups() == before


def test_nanos_runs_its_program_to_the_end_as_a_pvm_guest(tmp_path):
    with Machine.boot(make_iso(nanos(mode="pv"), tmp_path), "qemu", memory=512,
                      options=("-cpu", "max,-svm")) as machine:
        assert_runs(machine)


@everywhere
def test_nanos_runs_its_program_to_the_end(tmp_path, computer):
    with Machine.boot(make_iso(nanos(), tmp_path, computer.kernel), computer.emulator, memory=512) as machine:
        assert_runs(machine)
