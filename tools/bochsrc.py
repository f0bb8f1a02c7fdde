#!/usr/bin/env python3
"""Prints a bochsrc: a Haswell with VT-x, one CPU, that boots a CD image; no display, console on COM1.

Ticks are counted instructions (clock: sync=none), so that the same run gives the same figures on every computer. Run it
as `bochs -q -f BOCHSRC -rc COMMANDS`, COMMANDS holding a line with `c`: Debian's Bochs starts in its debugger.
"""

import argparse

# Instructions a second of emulated time: how fast the emulated clocks run against the CPU.
IPS = 50_000_000


def bochsrc(iso: str, memory: int, log: str, console_port: int | None = None, console_file: str | None = None) -> str:
    if console_port is not None:
        com1 = f"com1: enabled=1, mode=socket-server, dev=127.0.0.1:{console_port}"
    else:
        com1 = f"com1: enabled=1, mode=file, dev={console_file}"
    # Without its sound devices: the mixer thread of Debian's build overruns a buffer where the host has no sound card.
    return f"""\
plugin_ctrl: speaker=0
memory: guest={memory}, host={memory}
cpu: model=corei7_haswell_4770, count=1, ips={IPS}, reset_on_triple_fault=0
romimage: file=$BXSHARE/BIOS-bochs-latest
vgaromimage: file=$BXSHARE/VGABIOS-lgpl-latest
ata0-master: type=cdrom, path={iso}, status=inserted
boot: cdrom
clock: sync=none
display_library: rfb, options="timeout=0"
{com1}
log: {log}
panic: action=fatal
error: action=report
info: action=ignore
debug: action=ignore
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iso", required=True)
    parser.add_argument("--memory", type=int, default=512, help="MiB")
    parser.add_argument("--log", required=True, help="where Bochs writes what its devices say")
    console = parser.add_mutually_exclusive_group(required=True)
    console.add_argument("--console-port", type=int, help="TCP port of 127.0.0.1; Bochs waits for a client there")
    console.add_argument("--console-file", help="file that gets the output")
    options = parser.parse_args()
    print(bochsrc(options.iso, options.memory, options.log, options.console_port, options.console_file), end="")


if __name__ == "__main__":
    main()
