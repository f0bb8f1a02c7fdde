"""The kernel's way from the boot loader to the root task: every loader, and every way to get it wrong."""
import pathlib
import subprocess
import time

import pytest

import tap
from elf_file import Elf, Segment

ROOT = pathlib.Path(__file__).resolve().parents[2]
KERNEL = ROOT / "build/kernel.elf"
ROOT_TASK = ROOT / "build/kerneltest.elf"

ROOT_TASK_RUNS = "# kernel: beaml4's"
STOPPED = "the machine stops"


def boot(folder, arguments, until, timeout=60, cpu="max", memory="256"):
    """QEMU's serial output up to the line with UNTIL, or until it ends or TIMEOUT has passed."""
    serial = folder / "serial.txt"
    serial.write_bytes(b"")
    process = subprocess.Popen(["qemu-system-x86_64", "-accel", "tcg", "-cpu", cpu, "-m", memory, "-display", "none",
                                "-no-reboot", "-serial", f"file:{serial}", *map(str, arguments)],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + timeout
    try:
        while time.monotonic() < deadline and process.poll() is None:
            if until in serial.read_text(errors="replace"):
                time.sleep(0.2)  # the rest of the line, and what should not come behind it
                break
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    return serial.read_text(errors="replace")


def boot_directly(folder, module=ROOT_TASK, until=ROOT_TASK_RUNS, extra=(), **options):
    arguments = ["-kernel", KERNEL, *(["-initrd", module] if module else []), *extra]
    return boot(folder, arguments, until, **options)


def refusal(folder, module):
    """What the kernel says of a module (bytes) that it does not start."""
    path = folder / "module"
    path.write_bytes(module)
    output = boot_directly(folder, path, until=STOPPED)
    assert STOPPED in output, output
    return output


@pytest.mark.parametrize("protocol", [1, 2])
def test_grub_boots_by_multiboot(tmp_path, protocol):
    iso = tap.make_iso(KERNEL, ROOT_TASK, tmp_path, protocol)
    output = boot(tmp_path, ["-cdrom", iso], ROOT_TASK_RUNS)
    assert f"Multiboot {protocol}, root task" in output
    assert ROOT_TASK_RUNS in output, output


def test_multiboot_2_passes_all_cases_about_bootinfo(tmp_path):
    iso = tap.make_iso(KERNEL, ROOT_TASK, tmp_path, 2)
    run = tap.parse(boot(tmp_path, ["-cdrom", iso], "\n# done", timeout=200, memory="512"))
    cases = [case for case in run.cases if case.name.startswith("bootinfo_")]
    assert len(cases) >= 15, run.output
    assert [case for case in cases if not case.passed or case.skipped] == []


def test_qemu_boots_kernel_and_initrd(tmp_path):
    output = boot_directly(tmp_path)
    assert "Multiboot 1, root task" in output
    assert ROOT_TASK_RUNS in output, output


@pytest.mark.parametrize("machine", [["-machine", "q35"], ["-machine", "pc,acpi=off"], ["-smp", "4"]], ids=" ".join)
def test_other_machines_boot(tmp_path, machine):
    output = boot_directly(tmp_path, extra=machine)
    assert ROOT_TASK_RUNS in output, output
    if "-smp" in machine:
        assert "4 processors of which one is used" in output
    if "pc,acpi=off" in machine:
        assert "no usable ACPI interrupt table" in output


def test_ram_above_4_gib_is_free(tmp_path):
    output = boot_directly(tmp_path, until="of RAM free", memory="6G")
    free = [line for line in output.splitlines() if "of RAM free" in line]
    assert free, output
    assert int(free[0].split(" KiB of RAM free")[0].split()[-1]) > 6 * 1024 * 1024 - 16 * 1024


def test_memory_in_many_pieces_becomes_the_largest_untypeds(tmp_path):
    # GRUB takes single pages out of the memory map, at addresses that leave pieces of every size.
    holes = "".join(f"cutmem {0x2000000 + i * 0x777000:#x} {0x2000000 + i * 0x777000 + 0x1000:#x}\n" for i in range(24))
    iso = tap.make_iso(KERNEL, ROOT_TASK, tmp_path, commands=f"insmod mmap\n{holes}")
    run = tap.parse(boot(tmp_path, ["-cdrom", iso], "\n# done", timeout=200, memory="512"))
    assert "memory in too many pieces for bootinfo" in run.output, run.output
    names = {"bootinfo_untypeds_are_aligned_and_apart", "bootinfo_untypeds_spare_what_is_in_use",
             "bootinfo_device_untypeds_come_first_in_address_order",
             "bootinfo_ram_is_most_of_what_the_firmware_reports"}
    assert {case.name for case in run.cases if case.passed and case.name in names} == names


def test_processor_without_64_bits_is_refused(tmp_path):
    output = boot_directly(tmp_path, until="cannot run on it", cpu="qemu32")
    assert "no 64-bit mode" in output


def test_processor_without_fsgsbase_is_named(tmp_path):
    output = boot_directly(tmp_path, until="FSGSBASE", cpu="qemu64")
    assert "the processor has no FSGSBASE instructions" in output


def test_no_module_is_named(tmp_path):
    output = boot_directly(tmp_path, module=None, until=STOPPED)
    assert "the boot loader passed no module" in output
    assert STOPPED in output


def test_second_module_is_ignored(tmp_path):
    output = boot_directly(tmp_path, f"{ROOT_TASK},{ROOT_TASK}")
    assert "2 modules; the first one is the root task" in output
    assert ROOT_TASK_RUNS in output


@pytest.mark.parametrize("size", [1, 63, 64, 100, 4096, 100000])
def test_truncated_module_is_refused(tmp_path, size):
    output = refusal(tmp_path, ROOT_TASK.read_bytes()[:size])
    assert f"the module ({size} bytes) cannot be the root task" in output
    assert "is no 64-bit ELF file" in output if size < 64 else "is truncated" in output


@pytest.mark.parametrize("module, reason", [
    (b"#!/bin/sh\necho hello\n" * 100, "is no 64-bit ELF file"),
    (bytes(8192), "is no 64-bit ELF file"),
    (Elf(ident=b"\x7fELF\x01\x01\x01").encode(), "is no 64-bit ELF file"),
    (Elf(ident=b"\x7fELF\x02\x02\x01").encode(), "is no 64-bit ELF file"),
    (Elf(machine=183).encode(), "is for another processor than x86-64"),
    (Elf(type=3).encode(), "is no executable linked to fixed addresses"),
    (Elf(header_offset=1 << 63).encode(), "its program headers lie outside of it"),
    (Elf(header_count=0xFFFF).encode(), "its program headers lie outside of it"),
    (Elf(segments=[]).encode(), "has nothing to load"),
    (Elf([Segment(memory_size=0, file_size=0)]).encode(), "has nothing to load"),
    (Elf([Segment(offset=(1 << 64) - 1)]).encode(), "is truncated"),
    (Elf([Segment(file_size=1 << 62, memory_size=1 << 62)]).encode(), "is truncated"),
    (Elf([Segment(memory_size=1)]).encode(), "is larger in the file than in memory"),
    (Elf([Segment(address=0xFFFFFFFF80000000)]).encode(), "outside of the user address space"),
    (Elf([Segment(address=0x7FFFFFFFF000)]).encode(), "outside of the user address space"),
    (Elf([Segment(memory_size=(1 << 64) - 1)]).encode(), "outside of the user address space"),
    (Elf([Segment(address=0x7FFFFFFFE000)]).encode(), "leaves no room for bootinfo"),
    (Elf([Segment(address=0x400800)]).encode(), "does not begin at a page boundary"),
    (Elf([Segment(), Segment(address=0x400002)]).encode(), "has overlapping segments"),
    (Elf([Segment(), Segment(address=0x400000 + (512 << 20))]).encode(), "spans more than 192 MiB"),
    (Elf(entry=0x401000).encode(), "has an entry point outside of itself"),
    (Elf(entry=0).encode(), "has an entry point outside of itself"),
], ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "")
def test_bad_module_is_refused(tmp_path, module, reason):
    assert reason in refusal(tmp_path, module)


def test_root_task_larger_than_memory_is_refused(tmp_path):
    path = tmp_path / "module"
    path.write_bytes(Elf([Segment(memory_size=100 << 20)]).encode())
    output = boot_directly(tmp_path, path, until=STOPPED, memory="64")
    assert "needs 102400 KiB in one piece" in output
    assert "not enough memory for the root task" in output


def test_too_little_memory_is_named(tmp_path):
    path = tmp_path / "module"
    path.write_bytes(Elf().encode())
    output = boot_directly(tmp_path, path, until=STOPPED, memory="4")
    assert "not enough memory for the root task" in output
    assert STOPPED in output


def test_acpi_tables_that_are_overwritten_do_not_stop_the_boot(tmp_path):
    # QEMU puts the module where its ACPI tables are, when there is so little memory.
    path = tmp_path / "module"
    path.write_bytes(Elf([Segment(content=b"\x7f" * (2900 << 10))]).encode())
    output = boot_directly(tmp_path, path, until=STOPPED, memory="4")
    assert STOPPED in output, output


def test_root_task_that_faults_is_named(tmp_path):
    path = tmp_path / "module"
    path.write_bytes(Elf([Segment(content=b"\x0f\x0b")]).encode())
    output = boot_directly(tmp_path, path, until="fault handler")
    assert 'thread "rootserver" stops: nobody handles its fault' in output


def test_root_task_gets_bootinfo_and_runs_at_its_entry(tmp_path):
    # mov (%rdi), %rax; ud2: bootinfo's first word, extraLen
    path = tmp_path / "module"
    path.write_bytes(Elf([Segment(content=b"\x90" * 16 + b"\x48\x8b\x07\x0f\x0b")], entry=0x400010).encode())
    output = boot_directly(tmp_path, path, until="fault handler")
    assert "rip 0x400013" in output
