"""Just enough of GDB's remote protocol to stop QEMU at an instruction and ask the CPU for its time-stamp counter."""

import socket
import time

RAX, RDX, RIP = 0, 3, 16
RDTSC = "0f31"


class Gdb:
    def __init__(self, path, seconds=10):
        deadline = time.monotonic() + seconds
        self.socket = socket.socket(socket.AF_UNIX)
        while True:
            try:
                self.socket.connect(path)
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def send(self, text):
        data = text.encode()
        self.socket.sendall(b"$" + data + b"#%02x" % (sum(data) & 0xff))

    def ask(self, text):
        """Sends a packet and gives the answer, however long the machine runs until then."""
        self.send(text)
        received = b""
        while received[-3:-2] != b"#":
            part = self.socket.recv(1)
            if not part:
                raise OSError("QEMU closed the connection to its debugger")
            received += part
        self.socket.sendall(b"+")
        return received[received.index(b"$") + 1:-3].decode()

    def registers(self):
        """The general registers and the instruction pointer, as the protocol writes them."""
        values = self.ask("g")
        return [values[i * 16:i * 16 + 16] for i in range(RIP + 1)]

    def run_to(self, address):
        self.ask(f"Z1,{address:x},1")
        self.ask("c")
        self.ask(f"z1,{address:x},1")

    def tsc(self):
        """Lets the CPU execute RDTSC where it has stopped, and puts everything back."""
        before = self.registers()
        address = int.from_bytes(bytes.fromhex(before[RIP]), "little")
        code = self.ask(f"m{address:x},2")
        self.ask(f"M{address:x},2:{RDTSC}")
        self.ask("s")
        after = self.registers()
        self.ask(f"M{address:x},2:{code}")
        for register in (RAX, RDX, RIP):
            self.ask(f"P{register:x}={before[register]}")
        low, high = (int.from_bytes(bytes.fromhex(after[register]), "little") for register in (RAX, RDX))
        return high << 32 | low

    def resume(self):
        self.send("c")
