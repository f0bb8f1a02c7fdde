"""A guest that tours its processor (guests/tour) and says of each thing that it tried whether it came out as the manuals say."""
import re

import pytest

import tap
from conftest import everywhere
from machine import OUR_KERNEL, ROOT, Machine, make_iso

IMAGES = ["tour", "tour-high"]
CHECKS_MIN = 500
PVM_CHECKS_MIN = 170


def vm(image, cmdline, mode="auto"):
    return (f'[[vm]]\nname = "{image}"\nmemory = "32 MiB"\nkernel = "{ROOT}/build/guests/{image}.elf"\nboot = "linux64"\n'
            f'mode = "{mode}"\ncmdline = "{cmdline}"\n')


def tour(config, folder, kernel, emulator, options=(), checks=CHECKS_MIN):
    """What the guest said: its checks, all of them passed."""
    with Machine.boot(make_iso(config, folder, kernel), emulator, options=options) as machine:
        machine.expect(r"# done|Bail out!.*\n|crashed: .*\n|not started.*\n|refused.*\n")
        run = tap.parse(re.sub(r"\[\w+\] [^\n]*\n", "", machine.transcript))
        failed = [(case.name, case.notes) for case in run.cases if not case.passed]
        assert failed == []
        assert run.finished, machine.transcript[-2000:]
        assert len(run.cases) >= checks
        machine.expect(r"powered off")


@pytest.mark.parametrize("image", IMAGES)
@everywhere
def test_a_tour_of_the_virtual_processor(tmp_path, computer, image):
    quirks = "qemu" if computer.emulator == "qemu" else "vtx bochs"
    tour(vm(image, quirks), tmp_path, computer.kernel, computer.emulator)


@pytest.mark.parametrize("image", IMAGES)
def test_a_tour_without_hardware_virtualization(tmp_path, image):
    tour(vm(image, "tcg", "pv"), tmp_path, OUR_KERNEL, "qemu", options=["-cpu", "max,-svm"])


def test_a_tour_of_a_guest_that_speaks_pvm(tmp_path):
    tour(vm("tour-pvm", "tcg", "pv"), tmp_path, OUR_KERNEL, "qemu", options=["-cpu", "max,-svm"], checks=PVM_CHECKS_MIN)


def test_a_guest_that_speaks_pvm_says_where_nobody_answers(tmp_path):
    with Machine.boot(make_iso(vm("tour-pvm", "tcg"), tmp_path, OUR_KERNEL), "qemu") as machine:
        machine.expect("Bail out! there is no PVM here")
        machine.expect("powered off")
