"""The virtual CPU, as a guest sees it from inside (guests/checks), and guests that cannot go on."""
import re

from conftest import everywhere
from machine import ROOT, Machine, make_iso

GUEST = ROOT / "build/guests/checks.elf"

# How the guest ends itself by the first letter of its command line, and what is then said of it.
ENDS = {
    "x": r"it executes at guest physical address d0000000, where it has no memory",
    "p": r"its page tables lead to guest physical address d0000[0-9a-f]{3}, where it has no memory",
    "v": r"a read at guest physical address d0000000, where it has no memory: the monitor cannot carry out this instruction"
         r" on device memory \(0f 10 0[0-9a-f]",
    "s": r"a write at guest physical address fec00[0-9a-f]{3}, where it has no memory: the monitor cannot carry out this"
         r" instruction on device memory \(0f 0b",
    "t": r"triple fault",
}


def vm(name, cmdline, computer):
    quirk = "q" if computer.emulator == "qemu" else ""
    return f'[[vm]]\nname = "{name}"\nmemory = "16 MiB"\nkernel = "{GUEST}"\ncmdline = "{cmdline}{quirk}"\n'


def boot(config, folder, computer):
    return Machine.boot(make_iso(config, folder, computer.kernel), computer.emulator)


@everywhere
def test_instructions_faults_and_interrupts(tmp_path, computer):
    with boot(vm("checks", "o", computer), tmp_path, computer) as machine:
        machine.expect(r"checks done|unexpected exception.*\n|crashed: .*\n")
        lines = [line.strip() for line in machine.transcript.splitlines()]
        assert [line for line in lines if line.startswith("not ok")] == []
        assert len([line for line in lines if line.startswith("ok ")]) >= 50
        machine.expect(r'VM 0 "checks" powered off')


@everywhere
def test_a_guest_that_cannot_go_on_is_stopped_with_its_cause_and_the_others_run(tmp_path, computer):
    config = "".join(vm(f"end-{letter}", letter, computer) for letter in ENDS) + vm("good", "o", computer)
    with boot(config, tmp_path, computer) as machine:
        machine.expect(r"no VM is running; the rest of the system stays up")
        for number, (letter, cause) in enumerate(ENDS.items()):
            assert re.search(rf'VM {number} "end-{letter}" crashed: {cause}', machine.transcript), machine.transcript
            assert re.search(rf"\[vmm{number}\]   rip [0-9a-f]{{16}}", machine.transcript)
            assert re.search(rf"\[vmm{number}\] its last exits:", machine.transcript)
            assert f'VM {number} "end-{letter}" crashed; it stays off' in machine.transcript
        assert re.search(r'VM 5 "good" powered off', machine.transcript)
