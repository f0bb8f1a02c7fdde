"""What processes hold, against what their pages say."""
import re

import pytest
from machine import ROOT, Machine, make_iso
from test_lifecycle import vm
from test_shell import HEARTBEAT, open_shell, wait_for_start

PAGES = {"logserver": "logserver", "timeserver": "timeserver", "screenserver": "screenserver", "dbgserver": "shell",
         "one": "monitor", "virtio0.0": "virtio"}


def described(page):
    """The rows of a page's table: slots, the types that may be there, and whether they always are."""
    text = (ROOT / f"docs/{page}.md").read_text()
    section = text[text.index("## Capabilities"):]
    rows = []
    for first, last, types, there in re.findall(r"^\| (\d+)(?:-(\d+))? \| ([^|]+) \| ([^|]+) \| [^|]+ \|$", section,
                                                re.MULTILINE):
        rows.append((range(int(first), int(last or first) + 1), set(types.split(", ")), there == "always"))
    assert len(rows) >= 4, page
    return rows


def held(machine, process):
    """Slots and types, as `caps` shows them."""
    machine.send(f"caps {process}\r")
    machine.expect(re.escape(f"caps {process}\r\n"))
    machine.expect(r"\r\n\rbeaml4> ")
    text = machine.transcript[machine.transcript.rindex(f"caps {process}\r\n"):]
    found = {}
    for first, last, kind in re.findall(r"^ *(\d+)(?:-(\d+))? +([A-Za-z0-9/ ]+?)(?:, \d+ of them)?\r$", text, re.MULTILINE):
        for slot in range(int(first), int(last or first) + 1):
            found[slot] = kind
    return found


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("capabilities")
    (folder / "disk").write_bytes(bytes(4096))
    config = vm("one", "one", kernel=HEARTBEAT, disks=["disk"]).replace("'", '"') + vm("two", "two", kernel=HEARTBEAT)
    with Machine.boot(make_iso(config, folder), "qemu") as machine:
        wait_for_start(machine, 2)
        open_shell(machine)
        yield machine


@pytest.mark.parametrize("process", PAGES)
def test_a_process_holds_what_its_page_says_and_nothing_else(machine, process):
    rows, found = described(PAGES[process]), held(machine, process)
    assert found
    for slot, kind in found.items():
        assert any(slot in slots and kind in types for slots, types, _ in rows), f"slot {slot}: {kind}"
    for slots, types, always in rows:
        if always:
            assert any(found.get(slot) in types for slot in found if slot in slots), f"slots {slots}: no {types}"
