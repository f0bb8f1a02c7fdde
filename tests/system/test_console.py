"""The serial console under load: logserver sends and receives at once."""
import string

from machine import ROOT, Machine, compile_config, pack_iso, servers
from test_lifecycle import vm


def test_what_is_typed_arrives_while_the_guest_prints(tmp_path):
    members = servers() | compile_config(vm("chatter", "chatter"), tmp_path)
    members["vmmserver"] = ROOT / "build/testmonitor.elf"
    with Machine.boot(pack_iso(members, tmp_path), "bochs") as machine:
        machine.expect(r"chatter \.")
        for letter in string.ascii_uppercase:
            machine.send(letter)
            machine.expect(rf"chatter {letter}\r", timeout=60)
        machine.send("q")
        machine.expect(r'VM 0 "chatter" powered off')
