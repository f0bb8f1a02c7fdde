"""Guests that attack their virtual machine (guests/hostile): by random privileged instructions, page tables and code, the same
for the same number. Whatever becomes of them, the others run, and nothing of the system fails."""
import re

import pytest

from machine import ROOT, Machine, make_iso

ROUNDS = 20000
TABLE_ROUNDS = 3000


def vm(name, image, cmdline, mode):
    return (f'[[vm]]\nname = "{name}"\nmemory = "16 MiB"\nkernel = "{ROOT}/build/guests/{image}.elf"\nboot = "linux64"\n'
            f'mode = "{mode}"\ncmdline = "{cmdline}"\n')


def assert_only_guests_failed(machine):
    assert machine.alive()
    failures = [line for line in machine.transcript.splitlines()
                if re.search(r"panic|assert|monitor .*(fault|died|dead)|\[kernel\] .*fault", line)]
    assert failures == []


@pytest.mark.parametrize("mode", ["pv", "svm"])
@pytest.mark.parametrize("image", ["hostile", "hostile-high"])
def test_any_privileged_instruction_with_any_operand_comes_back(tmp_path, image, mode):
    options = ["-cpu", "max,-svm"] if mode == "pv" else []
    with Machine.boot(make_iso(vm("calm", image, f"calm seed=7 rounds={ROUNDS}", mode), tmp_path), "qemu",
                      options=options) as machine:
        machine.expect(rf"hostile: {ROUNDS} rounds, \d+ exceptions")
        machine.expect(r'VM 0 "calm" powered off')
        assert_only_guests_failed(machine)


@pytest.mark.parametrize("image", ["hostile", "hostile-high"])
def test_page_tables_of_any_contents_harm_nobody(tmp_path, image):
    config = vm("tables", image, f"tables seed=11 rounds={TABLE_ROUNDS}", "pv") + vm("good", "shell-high", "bench", "pv")
    with Machine.boot(make_iso(config, tmp_path), "qemu", options=["-cpu", "max,-svm"]) as machine:
        machine.expect(r"no VM is running")
        assert 'VM 1 "good" powered off' in machine.transcript
        # It may get to its end, or to an access that no machine has an answer to.
        assert re.search(r'hostile: \d+ rounds|VM 0 "tables" crashed: \w+', machine.transcript)
        assert_only_guests_failed(machine)


def test_any_bytes_as_code_harm_nobody(tmp_path):
    config = "".join(vm(f"wild-{seed}", "hostile-high", f"wild seed={seed} rounds=1000000", "pv") for seed in range(4))
    with Machine.boot(make_iso(config + vm("good", "shell-high", "bench", "pv"), tmp_path), "qemu",
                      options=["-cpu", "max,-svm"]) as machine:
        machine.expect(r'VM 4 "good" powered off')
        assert_only_guests_failed(machine)
