"""What the image packer makes, and what it refuses."""
import pathlib
import struct
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import pack  # noqa: E402

PAGE = 4096


def tiny_elf(spare=True):
    """An ELF with one PT_LOAD that ends at 0x40001234, and a spare program header."""
    headers = [(pack.PT_LOAD, 5, 0, 0x40000000, 0x40000000, 200, 0x1234, PAGE)]
    if spare:
        headers.append((pack.PT_NULL, 4, 0, 0, 0, 0, 0, 0))
    elf = bytearray(b"\x7fELF\x02\x01\x01".ljust(16, b"\0"))
    elf += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0x40000000, 64, 0, 0, 64, 56, len(headers), 0, 0, 0)
    for header in headers:
        elf += pack.PROGRAM_HEADER.pack(*header)
    return bytes(elf)


def segment_of(image):
    _, headers = pack.program_headers(image)
    _, _, offset, vaddr, _, size, memory, _ = headers[-1]
    return vaddr, image[offset:offset + size], memory


def members_of(cpio):
    """Name, offset and data of each member, read independently of the writer."""
    position, found = 0, []
    while True:
        assert cpio[position:position + 6] == b"070701"
        fields = [int(cpio[position + 6 + 8 * i:position + 14 + 8 * i], 16) for i in range(13)]
        name_size, size = fields[11], fields[6]
        name = cpio[position + 110:position + 110 + name_size - 1].decode()
        start = (position + 110 + name_size + 3) // 4 * 4
        if name == "TRAILER!!!":
            return found
        found.append((name, start, cpio[start:start + size]))
        position = (start + size + 3) // 4 * 4


def test_archive_lies_on_the_page_behind_the_image_with_a_head_page():
    vaddr, segment, memory = segment_of(pack.pack(tiny_elf(), [("a", b"x")]))
    assert vaddr == 0x40002000 and memory % PAGE == 0 and memory >= len(segment)
    assert segment[:8] == b"BML4ARCH"
    assert struct.unpack_from("<Q", segment, 8)[0] == len(segment) - PAGE


@pytest.mark.parametrize("sizes", [(1, 1, 1), (4096, 4096, 1), (4095, 0, 5000), (3900, 3950, 3980, 4000, 4060)])
def test_every_member_begins_on_a_page_and_shares_none(sizes):
    members = [(f"member-{i}", bytes([i + 1]) * size) for i, size in enumerate(sizes)]
    _, segment, _ = segment_of(pack.pack(tiny_elf(), members))
    found = [entry for entry in members_of(segment[PAGE:]) if not entry[0].startswith(".pad")]
    assert [(name, data) for name, _, data in found] == members
    pages = [page for _, start, data in found for page in range(start // PAGE, -(-(start + len(data)) // PAGE))]
    assert all(start % PAGE == 0 for _, start, _ in found)
    assert len(pages) == len(set(pages))


def test_the_system_own_cpio_reads_the_archive(tmp_path):
    _, segment, _ = segment_of(pack.pack(tiny_elf(), [("first", b"1" * 5000), ("second", b"2")]))
    listing = subprocess.run(["busybox", "cpio", "-t"], input=segment[PAGE:], capture_output=True, check=True).stdout
    assert {"first", "second"} <= set(listing.decode().split())


@pytest.mark.parametrize("elf, cause", [
    (b"", "not a static x86-64 ELF"),
    (b"\x7fELF\x01" + bytes(100), "not a static x86-64 ELF"),
    (tiny_elf(spare=False), "no spare program header"),
    (tiny_elf()[:100], "program headers are damaged"),
])
def test_an_init_that_cannot_carry_an_archive_is_refused(elf, cause):
    with pytest.raises(pack.PackError, match=cause):
        pack.pack(elf, [])


@pytest.mark.parametrize("names, cause", [
    (["a", "a"], "two members"), ([""], "expected 1 to 95 bytes"), (["x" * 96], "expected 1 to 95"),
    (["TRAILER!!!"], "archive format's own"), ([".pad"], "archive format's own"),
])
def test_member_names_that_init_could_not_find_are_refused(names, cause):
    with pytest.raises(pack.PackError, match=cause):
        pack.archive([(name, b"") for name in names])


def test_a_packed_image_is_not_packed_again():
    with pytest.raises(pack.PackError, match="not packed before"):
        pack.pack(pack.pack(tiny_elf(), []), [])


def test_command_line_packs_lists_and_names_a_missing_file(tmp_path, capsys):
    (tmp_path / "init.elf").write_bytes(tiny_elf())
    (tmp_path / "data").write_bytes(b"hello")
    (tmp_path / "list").write_text(f"listed={tmp_path / 'data'}\n")
    out = str(tmp_path / "out.elf")
    assert pack.main([str(tmp_path / "init.elf"), out, f"given={tmp_path / 'data'}",
                      "--members", str(tmp_path / "list")]) == 0
    _, segment, _ = segment_of(pathlib.Path(out).read_bytes())
    names = [name for name, _, data in members_of(segment[PAGE:]) if data == b"hello"]
    assert names == ["given", "listed"]
    assert pack.main([str(tmp_path / "init.elf"), out, f"kernel={tmp_path / 'nothing'}"]) == 1
    assert "member kernel: cannot read" in capsys.readouterr().err
