"""What system tests share: each that takes `kernel` runs on our kernel, and on the one that SEL4_KERNEL names; each that
takes `computer` also in an emulator, by what it is marked with."""
import os
import pathlib
import typing

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def find_kernel(name: str) -> pathlib.Path:
    if name == "beaml4":
        return ROOT / "build/kernel.elf"
    if not os.environ.get("SEL4_KERNEL"):
        pytest.skip("SEL4_KERNEL names no other kernel")
    return pathlib.Path(os.environ["SEL4_KERNEL"]).resolve()


@pytest.fixture(params=["beaml4", "SEL4_KERNEL"])
def kernel(request) -> pathlib.Path:
    return find_kernel(request.param)


class Computer(typing.NamedTuple):
    """An emulator, how it runs guests, and the kernel for it."""
    emulator: str
    virtualization: str
    kernel: pathlib.Path


COMPUTERS = {
    "qemu": ("qemu", "AMD-V", "beaml4"),
    "bochs": ("bochs", "VT-x", "beaml4"),
    "bochs-SEL4_KERNEL": ("bochs", "VT-x", "SEL4_KERNEL"),
}

# Bochs takes minutes where QEMU takes seconds, but upstream's kernel knows VT-x alone.
quickly = pytest.mark.parametrize("computer", ["qemu", "bochs-SEL4_KERNEL"], indirect=True)
everywhere = pytest.mark.parametrize("computer", COMPUTERS, indirect=True)


@pytest.fixture
def computer(request) -> Computer:
    emulator, virtualization, kernel_name = COMPUTERS[request.param]
    return Computer(emulator, virtualization, find_kernel(kernel_name))
