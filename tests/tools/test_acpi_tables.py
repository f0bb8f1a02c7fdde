"""The virtual machine's ACPI tables as Intel's own tools see them."""

import pathlib
import re
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
HEADER = (TOP / "vmm/device.h").read_text()
TABLES = ["xsdt", "facp", "apic", "facs", "dsdt"]


def constant(name):
    return int(re.search(rf"#define {name}\s+(\w+?)u\b", HEADER)[1], 0)


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("acpi")
    subprocess.run(["make", "-s", "build/tests/test_acpi_tables"], cwd=TOP, check=True, capture_output=True)
    subprocess.run([TOP / "build/tests/test_acpi_tables", "--dump", folder], check=True)
    return folder


def iasl(folder, *arguments):
    done = subprocess.run(["iasl", *arguments], cwd=folder, capture_output=True, text=True)
    return done.stdout + done.stderr, done.returncode


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_disassembled_without_complaint_and_assembled_to_the_same(tables, name):
    original = (tables / f"{name}.dat").read_bytes()
    said, status = iasl(tables, "-d", f"{name}.dat")
    assert status == 0, said
    assert not re.search(r"error|warning|invalid|incorrect|unknown|fail", said, re.IGNORECASE), said
    assert "**** " not in (tables / f"{name}.dsl").read_text()

    said, status = iasl(tables, "-we", "-p", f"again-{name}", f"{name}.dsl")
    assert status == 0, said
    assert re.search(r"Compilation successful. 0 Errors, 0 Warnings", said), said
    again = bytearray((tables / f"again-{name}.aml").read_bytes())
    if name != "facs":
        # The assembler puts its own name and version, and so another checksum.
        again[9:10], again[28:36] = original[9:10], original[28:36]
    assert bytes(again) == original


def test_the_dsdt_describes_the_devices_at_the_places_of_the_models(tables):
    iasl(tables, "-d", "dsdt.dat")
    text = " ".join((tables / "dsdt.dsl").read_text().split())
    sleep_state = re.search(r"Name \(_S5, Package \(0x04\) // _S5_: S5 System State \{ (\w+), (\w+),", text)
    assert [int(value, 0) for value in sleep_state.groups()] == [constant("SLEEP_TYPE_S5")] * 2

    def irq_of(device):
        return int(re.search(rf"Device \({device}\).*?IRQNoFlags \(\) {{(\d+)}}", text)[1])

    assert irq_of("COM1") == constant("GSI_SERIAL")
    assert irq_of("RTC0") == constant("GSI_RTC")
    places = {f"VIO{i}" for i in range(constant("VIRTIO_SLOTS"))}
    assert set(re.findall(r"Device \((\w+)\)", text)) == {"CPU0", "COM1", "RTC0"} | places


def test_the_dsdt_describes_the_places_of_virtio_devices(tables):
    iasl(tables, "-d", "dsdt.dat")
    text = " ".join(re.sub(r"//.*", "", (tables / "dsdt.dsl").read_text()).split())
    present = re.search(r"OperationRegion \(VIOR, SystemMemory, (\w+), ", text)[1]
    header = (TOP / "vmm/acpi_tables.h").read_text()
    assert int(present, 0) == int(re.search(r"ACPI_VIRTIO_PRESENT (\w+?)u\b", header)[1], 0)
    for i in range(constant("VIRTIO_SLOTS")):
        device = re.search(rf"Device \(VIO{i}\) {{ (.*?Method .*?) }}", text)[1]
        assert '"LNRO0005"' in device
        memory = re.search(r"Memory32Fixed \(ReadWrite, (\w+), (\w+), ", device)
        assert int(memory[1], 0) == constant("VIRTIO_BASE") + i * constant("VIRTIO_SLOT_BYTES")
        assert int(memory[2], 0) == constant("VIRTIO_SLOT_BYTES")
        interrupt = re.search(r"Interrupt \(ResourceConsumer, Edge, ActiveHigh, Exclusive, ,, \) { (\w+), }", device)
        assert int(interrupt[1], 0) == constant("GSI_VIRTIO") + i
        assert re.search(rf"Method \(_STA, 0, NotSerialized\) {{ Return \(\(VIP{i} \* 0x0F\)\)", device)
