"""Services that die, and what their clients can do to them."""
import re

import pytest
from machine import ROOT, Machine, compile_config, make_iso, pack_iso, servers
from test_hostile_monitor import assert_witness_unharmed, boot
from test_lifecycle import IDLE, assert_last_totals, totals, vm
from test_linux import linux, run as run_in_linux, wait_for_shell
from test_shell import beating, next_beat, open_shell, run, wait_for_start
from test_shell import boot as boot_guests


def test_a_client_has_thousands_of_timers_and_they_take_no_ones_place(tmp_path):
    config = vm("first", "timers") + vm("second", "timers") + vm("witness", "witness")
    members = servers() | compile_config(config, tmp_path) | {"vmmserver": ROOT / "build/testmonitor.elf"}
    with Machine.boot(pack_iso(members, tmp_path), "qemu") as machine:
        before = totals(machine)
        machine.expect(IDLE)
        assert machine.transcript.count("3000 timers used, room for 4096") == 2, machine.transcript
        assert 'VM 2 "witness" powered off' in machine.transcript
        assert_last_totals(machine, before)


def test_a_flood_of_timers_delays_no_one(tmp_path):
    with boot(tmp_path, "timer flood", "witness") as machine:
        before = totals(machine)
        assert_witness_unharmed(machine, before)
        assert "[vmm0] flooded" in machine.transcript
        took = int(re.search(r"witness took (\d+) ms", machine.transcript)[1])
        assert 1250 <= took < 1350


@pytest.mark.parametrize("options", [[], ["-no-hpet"]], ids=["HPET", "PIT"])
def test_timers_are_right_on_both_kinds_of_hardware(tmp_path, options):
    members = servers() | compile_config(vm("witness", "witness"), tmp_path)
    members["vmmserver"] = ROOT / "build/testmonitor.elf"
    with Machine.boot(pack_iso(members, tmp_path), "qemu", options=options) as machine:
        machine.expect(rf"\[timeserver\] timers on the {'PIT' if options else 'HPET'}")
        machine.expect(IDLE)
        took = int(re.search(r"witness took (\d+) ms", machine.transcript)[1])
        assert 1250 <= took < 1350


def test_each_service_killed_in_turn_leaves_the_rest_alive(tmp_path):
    with boot_guests(beating("one") + beating("two"), tmp_path) as machine:
        wait_for_start(machine, 2)
        next_beat(machine, "one")
        open_shell(machine)
        memory = set()
        for _ in range(5):
            for service in ("timeserver", "logserver", "dbgserver"):
                machine.send(f"kill {service}\r")
                machine.expect(rf"\[init\] {service} killed; it starts again")
                machine.expect(rf"\[init\] {service} started")
                open_shell(machine)
                memory.add(run(machine, "mem", r"free \((\d+) bytes\)")[1])
        assert len(memory) == 1  # each time all of it came back
        run(machine, "ps", r"timeserver +running .* 5 (.|\n)*dbgserver +running .* 5 ")
        for name in ("one", "two"):
            run(machine, f"console {name}", "leads back")
            first = next_beat(machine, name)
            machine.send("x")
            machine.expect(f"{name} heard x")
            assert next_beat(machine, name) > first
            open_shell(machine)


def test_clients_of_a_timeserver_that_dies_go_on(tmp_path):
    config = vm("sleeper", "heartbeat") + vm("many", "timer flood")
    members = servers() | compile_config(config, tmp_path) | {"vmmserver": ROOT / "build/testmonitor.elf"}
    with Machine.boot(pack_iso(members, tmp_path), "qemu") as machine:
        machine.expect("heart 3")
        open_shell(machine)
        for _ in range(10):
            machine.send("kill timeserver\r")
            machine.expect(r"\[init\] timeserver started")
            last = int(machine.expect(r"heart (\d+)\s")[1])
            machine.expect(f"heart {last + 2}")


def test_a_client_whose_timeserver_dies_before_it_answers_asks_again(tmp_path):
    members = servers() | compile_config(vm("sleeper", "heartbeat"), tmp_path) | {
        "vmmserver": ROOT / "build/testmonitor.elf", "timeserver": ROOT / "build/testtimeserver.elf"}
    with Machine.boot(pack_iso(members, tmp_path), "qemu") as machine:
        for _ in range(3):
            machine.expect(r"\[init\] timeserver faulted and starts again: page fault: .* null pointer")
        machine.expect("heart 400")


def test_linux_goes_on_when_services_die_while_it_boots_and_afterwards(tmp_path):
    with Machine.boot(make_iso(linux("linux-cloud.vmlinux"), tmp_path), "qemu", memory=512) as machine:
        machine.expect("Linux version")
        open_shell(machine)
        for service in ("timeserver", "screenserver", "timeserver", "dbgserver"):
            machine.send(f"kill {service}\r")
            machine.expect(rf"\[init\] {service} started")
            open_shell(machine)
        run(machine, "console linux", "leads back")
        wait_for_shell(machine)
        open_shell(machine)
        for _ in range(5):
            machine.send("kill timeserver\r")
            machine.expect(r"\[init\] timeserver started")
            open_shell(machine)
        run(machine, "console linux", "leads back")
        assert run_in_linux(machine, "sleep 2 && expr 6 '*' 7").strip() == "42"
