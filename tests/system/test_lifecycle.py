"""The life of VMs and services as init leads it: starting, refusing, ending, and getting everything back."""
import re
import struct

import pytest
from machine import ROOT, Machine, burn, compile_config, config_compiler, make_iso, pack_iso, servers

GUEST = ROOT / "build/guests/poweroff.elf"
TOTALS = r"\[init\] memory: (\d+) bytes free, (\d+) slots free\s"
IDLE = r"\[init\] no VM is running"


def vm(name, cmdline="poweroff", **options):
    """A [[vm]] table with the guest that ends as CMDLINE says."""
    settings = {"name": name, "memory": "16 MiB", "kernel": str(GUEST), "cmdline": cmdline, **options}
    lines = [f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value}" for key, value in settings.items()]
    return "[[vm]]\n" + "\n".join(lines) + "\n"


def all_members(config, folder):
    return servers() | compile_config(config, folder)


def totals(machine):
    match = machine.expect(TOTALS)
    return match[1], match[2]


def assert_last_totals(machine, before):
    last = machine.transcript.rfind("[init] memory:")
    assert f"{before[0]} bytes free, {before[1]} slots free" in machine.transcript[last:]


def test_without_hardware_virtualization_vms_run_in_pv_mode_or_get_one_clear_line(tmp_path):
    iso = make_iso(vm("first") + vm("second", mode="vtx"), tmp_path)
    with Machine.boot(iso, "qemu", options=["-cpu", "max,-svm"]) as machine:
        machine.expect(r'VM 0 "first" refused: its kernel begins in 32-bit mode, which PV mode does not run')
        machine.expect(IDLE)
        lines = [line for line in machine.transcript.splitlines() if 'VM 1 "second"' in line]
        assert len(lines) == 1
        assert "needs VT-x, which this CPU does not offer (" in lines[0]
        assert "--machine bochs" in lines[0]
        machine.silent_for("panic|fault", 3)
        assert machine.alive()


def test_a_mode_that_is_not_there_is_named(tmp_path):
    iso = make_iso(vm("paravirtual", mode="pv") + vm("intel", mode="vtx"), tmp_path)
    with Machine.boot(iso, "qemu") as machine:
        machine.expect(r'VM 1 "intel" not started: it needs VT-x, which this CPU does not offer \(it has AMD-V')
        machine.expect(r'VM 0 "paravirtual" refused: its kernel begins in 32-bit mode')
        machine.expect(IDLE)


def test_an_image_without_archive_boots_and_says_so(tmp_path):
    with Machine.boot(burn(ROOT / "build/beaml4-init.elf", tmp_path), "qemu") as machine:
        machine.expect(r"\[init\] there is nothing to run: no archive has been packed into this image")
        machine.expect(IDLE)


@pytest.mark.parametrize("content, reason", [
    (None, r"the archive has no such member"),
    (b"[[vm]]\nname = 'text'\n", r"it is not a compiled configuration"),
    (struct.pack("<QII", config_compiler.MAGIC, 1, 100), r"it was compiled for another version"),
    (struct.pack("<QII", config_compiler.MAGIC, 2, config_compiler.VM_RECORD.size) + bytes(3000), r"it is cut off"),
    (struct.pack("<QII", config_compiler.MAGIC, 1000, config_compiler.VM_RECORD.size), r"more machines than"),
], ids=["missing", "text", "stale", "cut-off", "too-many"])
def test_an_unreadable_configuration_is_reported_and_services_run(tmp_path, content, reason):
    members = servers() | ({} if content is None else {config_compiler.MEMBER: content})
    with Machine.boot(pack_iso(members, tmp_path), "qemu") as machine:
        machine.expect(rf"\[init\] no VMs: the configuration \(beaml4.config\).*{reason}")
        machine.expect(r"\[init\] logserver started")
        machine.expect(r"\[init\] timeserver started")
        machine.expect(IDLE)


def spoilt(program, how):
    """A service's ELF file with something wrong."""
    elf = bytearray(program.read_bytes())
    (headers,) = struct.unpack_from("<Q", elf, 32)
    if how == "text":
        return b"#!/bin/sh\n" * 20
    if how == "truncated":
        return bytes(elf[:0x1800])
    if how == "for another machine":
        struct.pack_into("<H", elf, 18, 183)
    if how == "overlapping":
        # The second segment begins where the first does.
        elf[headers + 56 + 16:headers + 56 + 24] = elf[headers + 16:headers + 24]
    return bytes(elf)


@pytest.mark.parametrize("how, reason", [
    ("text", "it is not an ELF file"),
    ("truncated", "it is cut off"),
    ("for another machine", "it is a program for another processor"),
    ("overlapping", "two of its segments overlap"),
])
def test_a_bad_service_is_refused_and_the_others_run(tmp_path, how, reason):
    members = all_members(vm("guest"), tmp_path) | {"timeserver": spoilt(ROOT / "build/timeserver.elf", how)}
    with Machine.boot(pack_iso(members, tmp_path), "qemu") as machine:
        machine.expect(r"\[init\] logserver started")
        machine.expect(rf"\[init\] timeserver not started: {reason}")
        machine.expect(r'\[init\] VM 0 "guest" not started')
        machine.expect(IDLE)


def test_without_logserver_init_still_speaks(tmp_path):
    members = all_members(vm("guest"), tmp_path)
    del members["logserver"]
    with Machine.boot(pack_iso(members, tmp_path), "qemu") as machine:
        machine.expect(r"\[init\] logserver not started: the archive has no such member")
        machine.expect(r"\[init\] timeserver started")
        machine.expect(IDLE)


def test_a_service_that_faults_is_reported_with_its_fault(tmp_path):
    # timeserver's program lacks its table where logserver should be.
    members = servers() | {"logserver": ROOT / "build/timeserver.elf"}
    with Machine.boot(pack_iso(members, tmp_path), "qemu") as machine:
        # What init had to say in the meantime, into a ring that no one read, is not lost.
        machine.expect(IDLE)
        for _ in range(4):
            machine.expect(r"\[init\] logserver faulted and starts again: page fault: .* at ip 0x4000[0-9a-f]{4}")
        machine.expect(r"\[init\] logserver faulted and is stopped: page fault: .* at ip 0x4000[0-9a-f]{4}")
        assert machine.alive()


def test_bad_vms_are_refused_and_a_good_one_runs(tmp_path, kernel):
    text = tmp_path / "text"
    text.write_text("this is no kernel\n" * 100)
    config = (vm("no-kernel") + vm("no-initrd", initrd=str(text)) + vm("greedy", memory="64 GiB") + vm("damaged")
              + vm("good") + vm("not-a-kernel", kernel=str(text)))
    members = all_members(config, tmp_path)
    binary = bytearray(members[config_compiler.MEMBER])
    record = config_compiler.VM_RECORD.size

    def patch(index, old, new):
        start = config_compiler.HEAD.size + index * record
        at = binary.index(old, start, start + record)
        binary[at:at + len(old)] = new.ljust(len(old), b"\0")

    patch(0, b"poweroff.elf", b"absent")
    patch(1, b"text", b"gone")
    patch(3, b"damaged", b"\x1b[31m\n")
    members[config_compiler.MEMBER] = bytes(binary)
    with Machine.boot(pack_iso(members, tmp_path, kernel), "bochs") as machine:
        before = totals(machine)
        machine.expect(r'VM 0 "no-kernel" not started: its kernel "absent" is not in the boot image')
        machine.expect(r'VM 1 "no-initrd" not started: its initrd "gone" is not in the boot image')
        machine.expect(r'VM 2 "greedy" not started: it wants 65536 MiB .* MiB are free')
        machine.expect(r'VM 3 "\?" not started: its name is .* not plain text')
        machine.expect(IDLE)
        transcript = machine.transcript
        assert 'VM 5 "not-a-kernel" cannot run' in transcript
        assert "poweroff guest: poweroff" in transcript
        assert 'VM 4 "good" powered off' in transcript
        assert_last_totals(machine, before)


def test_a_start_that_fails_half_way_takes_everything_back(tmp_path, kernel):
    # Sizes around what there is: the first ones fail at once, others when part of them is made, one runs.
    config = "".join(vm(f"{pages}{size}", memory=f"{size} MiB", pages=pages)
                     for size in range(58, 42, -2) for pages in ("large", "small"))
    with Machine.boot(make_iso(config, tmp_path, kernel), "bochs", memory=64) as machine:
        before = totals(machine)
        machine.expect(IDLE)
        assert re.search("not started: (free memory is in too small|not enough memory)", machine.transcript)
        assert "powered off" in machine.transcript
        assert_last_totals(machine, before)


def test_a_bad_monitor_program_is_refused(tmp_path, kernel):
    members = all_members(vm("guest"), tmp_path) | {"vmmserver": spoilt(ROOT / "build/vmmserver.elf", "truncated")}
    with Machine.boot(pack_iso(members, tmp_path, kernel), "bochs") as machine:
        machine.expect(r'VM 0 "guest" not started: its monitor \(vmmserver\): it is cut off')
        machine.expect(IDLE)


def test_ten_reboots_and_ten_power_offs_give_everything_back(tmp_path, kernel):
    config = "".join(vm(f"off{i}") for i in range(10))
    with Machine.boot(make_iso(config, tmp_path, kernel), "bochs") as machine:
        before = totals(machine)
        machine.expect(IDLE)
        assert machine.transcript.count("powered off") == 10
        assert_last_totals(machine, before)
    # Alone in a boot of its own, so that no other VM's memory is missing in the totals between its rounds.
    with Machine.boot(make_iso(vm("again", "reboot"), tmp_path, kernel), "bochs") as machine:
        before = totals(machine)
        for _ in range(10):
            machine.expect(r'VM 0 "again" reboots')
            assert totals(machine) == before


def test_a_guest_that_crashes_is_restarted_as_often_as_configured(tmp_path, kernel):
    with Machine.boot(make_iso(vm("crasher", "triple fault", restart=2), tmp_path, kernel), "bochs") as machine:
        before = totals(machine)
        for _ in range(2):
            machine.expect(r'VM 0 "crasher" crashed; it starts again')
            assert totals(machine) == before
        machine.expect(r'VM 0 "crasher" crashed; it stays off')
        assert totals(machine) == before
        machine.expect(IDLE)


def test_one_vm_crashing_leaves_another_running(tmp_path, kernel):
    config = vm("halted", "halt") + vm("crasher", "triple fault", restart=3)
    with Machine.boot(make_iso(config, tmp_path, kernel), "bochs") as machine:
        machine.expect(r'VM 1 "crasher" crashed; it stays off')
        machine.silent_for(r'VM 0 "halted" (crashed|powered off|cannot run)|no VM is running', 3)
        assert 'VM 0 "halted" is running' in machine.transcript
