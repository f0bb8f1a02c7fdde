"""Checks that a service's ELF file holds no instruction that must not run in it.

A `syscall` that is not one of libsel4's stubs is a Linux system call of some musl function; a vector or x87
instruction would fault in a monitor, whose FPU belongs to its guest. Usage: check_program.py FILE.elf...
"""
import re
import subprocess
import sys

VECTOR = re.compile(r"%[xyz]mm|%st|\bf(?:ld|st|xch|add|sub|mul|div|com|ucom|ild|ist|nstcw|ldcw|init|nstsw)\w*\s")


def violations(path):
    """One line of text for each instruction of the ELF file that must not be there."""
    listing = subprocess.run(["objdump", "-d", "--no-show-raw-insn", path], check=True, capture_output=True, text=True)
    function, previous, found = "?", "", []
    for line in listing.stdout.splitlines():
        start = re.match(r"[0-9a-f]+ <(.+)>:", line)
        if start:
            function = start[1]
            continue
        parts = line.split("\t", 1)
        if len(parts) < 2:
            continue
        instruction = parts[1].strip()
        if re.match(r"syscall|sysenter|int\s+\$0x80", instruction) and previous != "mov    %rsp,%rbx":
            found.append(f"{path}: {function}: a Linux system call: {instruction}")
        if VECTOR.search(instruction):
            found.append(f"{path}: {function}: a vector or x87 instruction: {instruction}")
        previous = instruction
    return found


def main(paths):
    found = [line for path in paths for line in violations(path)]
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
