"""Disks of virtual machines: unmodified Linux on virtio-blk, and what a guest or a monitor can do to a virtioserver."""
import hashlib
import random
import re
import subprocess

import pytest
from machine import ROOT, Machine, compile_config, make_iso, pack_iso, servers
from test_lifecycle import IDLE, assert_last_totals, vm
from test_lifecycle import totals as lifecycle_totals
from test_linux import IMAGES, TOTALS, run, wait_for_shell

MODULES = IMAGES / "linux-cloud.modules"
MIB = 1 << 20


def make_disk(path, size=16 * MIB, content=b""):
    """An ext4 file system with CONTENT in its file `packed`."""
    tree = path.with_suffix(".tree")
    tree.mkdir()
    (tree / "packed").write_bytes(content)
    with open(path, "wb") as file:
        file.truncate(size)
    subprocess.run(["/usr/sbin/mkfs.ext4", "-q", "-F", "-d", tree, path], check=True)
    return path


@pytest.fixture
def linux(tmp_path):
    """A function that boots Debian's kernel with DISKS and more settings of its [[vm]] table."""
    if not MODULES.exists():
        pytest.skip(f"{MODULES} is not there: ./test.sh fetches it")
    machines = []

    def boot(disks, **settings):
        initramfs = tmp_path / "initramfs.cpio"
        subprocess.run([ROOT / "tools/make_initramfs.py", "--modules", MODULES, initramfs], check=True)
        settings = {"name": "linux", "memory": "128 MiB", "kernel": str(IMAGES / "linux-cloud.vmlinux"),
                    "initrd": str(initramfs), "cmdline": "console=ttyS0 panic=1 nokaslr mitigations=off", **settings}
        config = "[[vm]]\n" + "".join(f'{key} = "{value}"\n' for key, value in settings.items())
        config += f"disks = {[str(disk) for disk in disks]}\n"
        machines.append(Machine.boot(make_iso(config, tmp_path), "qemu", memory=512))
        return machines[-1]

    yield boot
    for machine in machines:
        machine.close()


def load_driver(machine):
    wait_for_shell(machine)
    run(machine, "stty columns 250")  # the shell's own idea of when it has to break what it echoes
    said = run(machine, "/etc/load-virtio; dmesg | grep virtio_blk")
    assert "Unknown symbol" not in said
    return said


def power_off(machine, before):
    machine.send("poweroff\n")
    machine.expect(r'VM 0 "linux" powered off', timeout=120)
    assert machine.expect(TOTALS).groups() == before


def test_linux_mounts_a_disk_and_reads_back_what_it_wrote(linux, tmp_path):
    content = random.Random(5).randbytes(3 * MIB + 77)
    disks = [make_disk(tmp_path / "root.img", content=content), tmp_path / "raw.img"]
    disks[1].write_bytes(random.Random(6).randbytes(2 * MIB))
    with linux(disks) as machine:
        before = machine.expect(TOTALS).groups()
        assert "[vda] 32768 512-byte logical blocks" in load_driver(machine)
        # What was packed is there, in both.
        run(machine, "mkdir /disk; mount -t ext4 /dev/vda /disk")
        assert run(machine, "sha256sum </disk/packed").split()[0] == hashlib.sha256(content).hexdigest()
        assert run(machine, "sha256sum </dev/vdb").split()[0] == hashlib.sha256(disks[1].read_bytes()).hexdigest()
        assert run(machine, "cat /sys/block/vda/serial /sys/block/vdb/serial") == "ram-disk-0ram-disk-1"

        # What is written comes back from the disk, not from a cache.
        run(machine, "head -c 5000000 /dev/urandom >/disk/new; sha256sum </disk/new >/tmp/sum; sync; umount /disk")
        run(machine, "echo 3 >/proc/sys/vm/drop_caches; mount -t ext4 /dev/vda /disk")
        written = run(machine, "cat /tmp/sum; sha256sum </disk/new").split()
        assert len(written) == 4 and written[0] == written[2]
        assert int(re.search(r"16:\s+(\d+)\s+IO-APIC\s+16-edge\s+virtio0", run(machine, "cat /proc/interrupts"))[1]) > 0
        assert not re.search(r"I/O error|EXT4-fs error|nobody cared", run(machine, "dmesg"))

        # Beyond its end there is nothing.
        assert "0+0 records in" in run(machine, "dd if=/dev/vdb of=/dev/null bs=1M skip=2 2>&1")
        power_off(machine, before)


def test_a_vm_that_restarts_with_requests_under_way_leaves_nothing_and_finds_its_disk_as_packed(linux, tmp_path):
    content = random.Random(7).randbytes(MIB)
    with linux([make_disk(tmp_path / "root.img", content=content)], pages="small") as machine:
        before = machine.expect(TOTALS).groups()
        for _ in range(2):
            load_driver(machine)
            run(machine, "mkdir /disk; mount -t ext4 /dev/vda /disk")
            assert run(machine, "sha256sum </disk/packed").split()[0] == hashlib.sha256(content).hexdigest()
            assert run(machine, "ls /disk").split() == ["lost+found", "packed"]
            machine.send("while :; do dd if=/dev/zero of=/disk/new bs=64k count=100 conv=fsync 2>/dev/null; done & "
                         "while :; do dd if=/dev/vda of=/dev/null bs=64k iflag=direct 2>/dev/null; done & "
                         "sleep 1; a=$(grep virtio0 /proc/interrupts); sleep 1; b=$(grep virtio0 /proc/interrupts); "
                         "test \"$a\" = \"$b\" || echo busy-$((40+2)); reboot -f\n")
            machine.expect("busy-42")
            machine.expect(r'VM 0 "linux" reboots', timeout=120)
            assert machine.expect(TOTALS).groups() == before
        wait_for_shell(machine)


def test_a_disk_that_cannot_be_is_named_and_nothing_is_left(tmp_path):
    config = vm("odd", disks=["odd.img"]) + vm("missing", disks=["none.img"])
    for name in ("odd.img", "none.img"):
        (tmp_path / name).write_bytes(bytes(512))
    members = servers() | compile_config(config, tmp_path)
    members["odd.img"] = bytes(700)
    del members["none.img"]
    with Machine.boot(pack_iso(members, tmp_path), "qemu") as machine:
        before = lifecycle_totals(machine)
        machine.expect(r'VM 0 "odd" not started: its disk "odd.img": it is not a whole number of sectors of 512 bytes')
        machine.expect(r'VM 1 "missing" not started: its disk "none.img": the archive has no such member')
        machine.expect(IDLE)
        assert machine.alive() and before


def boot_test_monitor(folder, behaviour):
    (folder / "disk.img").write_bytes(random.Random(8).randbytes(MIB))
    config = vm("hostile", behaviour, disks=["disk.img"]) + vm("witness", "witness", disks=["disk.img"])
    members = servers() | compile_config(config, folder) | {"vmmserver": ROOT / "build/testmonitor.elf"}
    return Machine.boot(pack_iso(members, folder), "qemu")


def assert_witness_unharmed(machine, before):
    machine.expect(IDLE)
    assert_last_totals(machine, before)
    assert 'VM 1 "witness" powered off' in machine.transcript


def test_a_monitor_that_torments_its_virtioserver_gets_answers_and_leaves_nothing(tmp_path):
    with boot_test_monitor(tmp_path, "torment virtio") as machine:
        before = lifecycle_totals(machine)
        assert_witness_unharmed(machine, before)
        assert "[vmm0] virtio tormented" in machine.transcript
        assert 'VM 0 "hostile" powered off' in machine.transcript


def test_a_monitor_that_takes_memory_back_from_its_virtioserver_ends_its_own_vm(tmp_path):
    with boot_test_monitor(tmp_path, "take memory back") as machine:
        before = lifecycle_totals(machine)
        assert_witness_unharmed(machine, before)
        assert re.search(r'VM 0 "hostile": the server of its device 0 faulted: page fault: \w+ \w+ address 0x100',
                         machine.transcript)
        assert 'VM 0 "hostile" crashed; it stays off' in machine.transcript
