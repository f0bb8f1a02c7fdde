"""The system over many rounds, with many machines, and under those who ask for too much."""
import re

import pytest
from machine import ROOT, Machine, compile_config, make_iso, pack_iso, servers
from test_hostile_monitor import assert_witness_unharmed
from test_hostile_monitor import boot as boot_monitors
from test_lifecycle import totals, vm
from test_shell import beating, boot, next_beat, open_shell, run, wait_for_start

ROUNDS = 100


def rounds(machine, name, number):
    """Creates and kills NAME; every other time before it has come far. The totals of memory and slots each time."""
    free = set()
    for count in range(ROUNDS):
        machine.send(f"create {name}\r")  # the log may come between the letters of a command
        machine.expect("create: done")
        if count % 2:
            machine.expect(rf'VM {number} "{name}" is running')
        machine.send(f"kill {name}\r")
        machine.expect(rf'VM {number} "{name}" killed')
        free.add(totals(machine))
    return free


def spare(name, **options):
    return beating(name, **options).replace("[[vm]]", "[[vm]]\nautostart = false")


@pytest.mark.parametrize("pages", ["large", "small"])
def test_a_hundred_rounds_of_create_and_kill_give_everything_back(tmp_path, pages):
    with boot(beating("witness") + spare("victim", pages=pages), tmp_path) as machine:
        wait_for_start(machine, 1)
        last = next_beat(machine, "witness")
        open_shell(machine)
        assert len(rounds(machine, "victim", 1)) == 1
        run(machine, "console witness", "leads back")
        assert next_beat(machine, "witness") > last


def test_a_hundred_rounds_of_create_and_kill_by_vtx_give_everything_back(tmp_path):
    iso = pack_iso(servers() | compile_config(spare("victim"), tmp_path), tmp_path)
    with Machine.boot(iso, "bochs") as machine:
        machine.expect("no VM is running")
        open_shell(machine)
        assert len(rounds(machine, "victim", 0)) == 1


def test_sixteen_machines_beat_at_once(tmp_path):
    names = [f"vm{number}" for number in range(16)]
    iso = make_iso("".join(beating(name) for name in names), tmp_path)
    with Machine.boot(iso, "qemu", memory=512) as machine:
        wait_for_start(machine, 16)
        open_shell(machine)
        for name in names:
            run(machine, f"console {name}", "leads back")
            first = next_beat(machine, name)
            assert next_beat(machine, name) > first
            open_shell(machine)
        run(machine, "ps", r" - dbgserver[^\n]*\n")
        table = machine.transcript[machine.transcript.rindex("uptime"):]
        assert len(re.findall(r"\d+ vm\d+ +running ", table)) == 16
        for name in names:
            run(machine, f"kill {name}", "kill: done")


def test_a_hundred_thousand_requests_without_sense_change_nothing(tmp_path):
    with boot_monitors(tmp_path, "babble long", "witness") as machine:
        before = totals(machine)
        assert_witness_unharmed(machine, before)
        assert "[vmm0] babbled" in machine.transcript
        assert "faulted" not in machine.transcript


def test_a_flood_of_log_lines_leaves_a_console_usable(tmp_path):
    config = vm("witness", "chatter") + vm("flood", "log flood")
    members = servers() | compile_config(config, tmp_path) | {"vmmserver": ROOT / "build/testmonitor.elf"}
    with Machine.boot(pack_iso(members, tmp_path), "qemu") as machine:
        machine.expect(r"\[vmm1\] \d+ bytes of log lost here")
        machine.send("w")
        machine.expect("chatter w")
        open_shell(machine)
        machine.send("pause flood\r")
        machine.expect("pause: done")
        machine.send("console witness\r")
        machine.expect("leads back")
        machine.send("v")
        machine.expect("chatter v")


def test_memory_that_a_guest_gives_back_is_another_ones_at_once(tmp_path):
    giver = vm("giver", "", kernel=str(ROOT / "build/guests/balloon.elf"), memory="64 MiB")
    with Machine.boot(make_iso(spare("taker", memory="64 MiB") + giver.replace("[[vm]]", "[[vm]]\nautostart = false"),
                               tmp_path), "qemu", memory=128) as machine:
        before = totals(machine)
        machine.expect("no VM is running")
        open_shell(machine)
        run(machine, "create giver", "create: done")
        run(machine, "create taker", r'VM 0 "taker" not started: it wants 64 MiB(.|\n)*create: it failed')
        run(machine, "console giver", "leads back")
        # All of its pages but the first, where it lies; not a part of one; and nothing is there any more.
        machine.expect("gave 0000001f refused ffffffea empty ffffffff")
        machine.expect("alive")
        open_shell(machine)
        run(machine, "create taker", "create: done")
        run(machine, "console taker", "leads back")
        next_beat(machine, "taker")
        open_shell(machine)
        run(machine, "console giver", "leads back")
        machine.expect("alive\r\nalive")
        open_shell(machine)
        run(machine, "kill taker", 'VM 0 "taker" killed')
        run(machine, "kill giver", 'VM 1 "giver" killed')
        assert totals(machine) == before
