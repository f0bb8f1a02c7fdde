"""The machine's own console: a VGA screen and a PS/2 keyboard beside the serial line."""
import re
import time

from machine import Machine, connect, make_iso
from test_lifecycle import vm
from test_shell import beating, next_beat, open_shell, run, wait_for_start

DRAWING_SECONDS = 60
COLUMNS, ROWS, WHITE_ON_BLUE = 80, 25, 0x1F
NAMES = {" ": "spc", "\r": "ret", "-": "minus", "]": "bracket_right", ".": "dot"}


class Screen:
    """QEMU's monitor, by which the test sees the screen and types on the keyboard."""

    def __init__(self, machine, folder):
        self._connection = connect(str(folder / "monitor"), machine.process)
        self._folder, self._text = folder, ""
        self._until_prompt()

    def _until_prompt(self):
        text = b""
        while not text.endswith(b"(qemu) "):
            received = self._connection.recv(4096)
            assert received, "QEMU's monitor is gone"
            text += received

    def command(self, line):
        self._connection.sendall(line.encode() + b"\n")
        self._until_prompt()

    def type(self, text):
        for character in text:
            self.command("sendkey " + NAMES.get(character, character))

    def cells(self):
        path = self._folder / "cells"
        self.command(f'pmemsave 0xb8000 {COLUMNS * ROWS * 2} "{path}"')
        content = path.read_bytes()
        return content[0::2], content[1::2]

    def rows(self):
        characters, _ = self.cells()
        text = characters.decode("latin-1")
        return [text[start:start + COLUMNS].rstrip() for start in range(0, len(text), COLUMNS)]

    def wait_for(self, shown):
        """The rows as soon as SHOWN (a function of them) holds: the screen is drawn after the serial line has its bytes."""
        deadline = time.monotonic() + DRAWING_SECONDS
        while not shown(rows := self.rows()):
            assert time.monotonic() < deadline, rows
        return rows

    def close(self):
        self._connection.close()


def boot(config, folder):
    machine = Machine.boot(make_iso(config, folder), "qemu",
                           options=("-monitor", f"unix:{folder}/monitor,server=on,wait=off"))
    return machine, Screen(machine, folder)


def expected_rows(transcript):
    """The last rows that a terminal of 80 columns shows of the serial line's text, the row of the cursor left out."""
    rows = []
    for line in re.sub(r"\x1b\[K", "", transcript).split("\r\n"):
        line = line.split("\r")[-1]
        rows += [line[start:start + COLUMNS] for start in range(0, max(len(line), 1), COLUMNS)]
    return [row.rstrip() for row in rows[:-1]]


def test_the_screen_shows_what_the_serial_line_does(tmp_path):
    machine, screen = boot(vm("one") + vm("two", "triple fault"), tmp_path)
    with machine:
        machine.expect(r"\[screenserver\] a VGA screen of 80 by 25, a keyboard")
        machine.expect("no VM is running")
        run(machine, "help", r"VM is a name or a number[^\n]*\n")
        machine.expect("beaml4> ")
        shown = screen.wait_for(lambda rows: [row for row in rows if row][-1:] == ["beaml4>"])
        logged = expected_rows(machine.transcript)
        last = max(i for i, row in enumerate(shown) if row)
        assert shown[last] == "beaml4>"
        assert shown[:last] == logged[-last:]
        _, attributes = screen.cells()
        assert set(attributes) == {WHITE_ON_BLUE}
        screen.close()


def test_a_guest_and_the_shell_are_used_by_the_keyboard(tmp_path):
    machine, screen = boot(beating("one"), tmp_path)
    with machine:
        wait_for_start(machine, 1)
        next_beat(machine, "one")
        screen.type("x")
        machine.expect("one heard x")
        screen.command("sendkey ctrl-bracket_right")
        machine.expect("beaml4> ")
        screen.type("kill one\r")
        machine.expect(r'\[init\] VM 0 "one" killed')
        screen.type("p")
        screen.command("sendkey shift-s")
        screen.command("sendkey backspace")
        screen.type("s\r")
        machine.expect(r" 0 one +off")
        screen.close()


def test_a_screenserver_that_is_killed_comes_back_and_goes_on(tmp_path):
    machine, screen = boot(beating("one"), tmp_path)
    with machine:
        wait_for_start(machine, 1)
        open_shell(machine)
        for _ in range(3):
            machine.send("kill screenserver\r")
            machine.expect(r"\[init\] screenserver started")
            open_shell(machine)
        screen.type("ps\r")
        machine.expect(r" - screenserver +running .* 3 ")
        machine.expect("beaml4> ")
        screen.wait_for(lambda rows: any(row.startswith(" - screenserver") for row in rows))
        screen.close()
