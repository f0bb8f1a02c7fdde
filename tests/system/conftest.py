"""What system tests share: each that takes `kernel` runs on our kernel, and on the one that SEL4_KERNEL names."""
import os
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(params=["beaml4", "SEL4_KERNEL"])
def kernel(request) -> pathlib.Path:
    if request.param == "beaml4":
        return ROOT / "build/kernel.elf"
    if not os.environ.get("SEL4_KERNEL"):
        pytest.skip("SEL4_KERNEL names no other kernel")
    return pathlib.Path(os.environ["SEL4_KERNEL"]).resolve()
