"""What the built programs consist of."""
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "runtime"))
import check_program  # noqa: E402

SERVICES = ["beaml4-init", "logserver", "timeserver", "vmmserver", "virtioserver"]


@pytest.mark.parametrize("name", SERVICES)
def test_service_makes_no_linux_system_call_and_uses_no_vector_register(name):
    path = ROOT / "build" / f"{name}.elf"
    if not path.exists():
        pytest.skip(f"{path} is not built")
    assert check_program.violations(str(path)) == []
