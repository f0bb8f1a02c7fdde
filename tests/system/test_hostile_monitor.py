"""What a monitor that turns on the system can do: end its own VM, and nothing else. A second VM is the witness."""
import pytest
from machine import ROOT, Machine, compile_config, pack_iso, servers
from test_lifecycle import IDLE, assert_last_totals, totals, vm


def boot(folder, *behaviours):
    config = "".join(vm(name.replace(" ", "-"), name) for name in behaviours)
    members = servers() | compile_config(config, folder) | {"vmmserver": ROOT / "build/testmonitor.elf"}
    return Machine.boot(pack_iso(members, folder), "qemu")


def assert_witness_unharmed(machine, before):
    machine.expect(IDLE)
    assert_last_totals(machine, before)
    assert 'VM 1 "witness" powered off' in machine.transcript
    assert "[vmm1] witness 4" in machine.transcript


@pytest.mark.parametrize("behaviour", ["babble", "scribble", "hoard"])
def test_a_monitor_cannot_disturb_others(tmp_path, behaviour):
    with boot(tmp_path, behaviour, "witness") as machine:
        before = totals(machine)
        assert_witness_unharmed(machine, before)
        assert f'VM 0 "{behaviour}" powered off' in machine.transcript


@pytest.mark.parametrize("behaviour, fault", [
    ("write null", "page fault: write to address 0, a null pointer, at ip 0x"),
    ("write code", "page fault: write to address 0x40000000, at ip 0x"),
    ("write startup", "page fault: write to address 0x3ff00000, at ip 0x"),
    ("overflow stack", "page fault: write to address 0x3ff6fff8, below its stack, at ip 0x"),
    ("call linux", "unknown system call 60 at ip 0x"),
    ("panic", "invalid opcode (exception 6, code 0) at ip 0x"),
])
def test_a_fault_of_a_monitor_ends_its_vm_alone(tmp_path, behaviour, fault):
    name = behaviour.replace(" ", "-")
    with boot(tmp_path, behaviour, "witness") as machine:
        before = totals(machine)
        assert_witness_unharmed(machine, before)
        assert f'[init] VM 0 "{name}": its monitor faulted: {fault}' in machine.transcript
        assert f'[init] VM 0 "{name}" crashed; it stays off' in machine.transcript


@pytest.mark.parametrize("behaviour", ["throw away", "spin"])
def test_a_monitor_that_is_lost_leaves_the_others_running(tmp_path, behaviour):
    with boot(tmp_path, behaviour, "witness") as machine:
        machine.expect(r"\[vmm1\] witness 4")
        machine.expect(r'VM 1 "witness" powered off')
        assert machine.alive()
