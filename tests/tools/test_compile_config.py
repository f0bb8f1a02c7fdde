"""What the configuration compiler makes of a description, and which line it blames for a mistake."""
import pathlib
import random as random_module
import re
import struct
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import compile_config as cc  # noqa: E402

GOOD = '[[vm]]\nname = "one"\nmemory = "128 MiB"\nkernel = "k"\n'


@pytest.fixture
def folder(tmp_path):
    for name in ("k", "i", "sub/k"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def compiled(text, folder):
    binary, members = cc.compile_config(text, folder)
    magic, count, record = cc.HEAD.unpack_from(binary)
    assert (magic, record) == (cc.MAGIC, cc.VM_RECORD.size) and len(binary) == cc.HEAD.size + count * record
    return [cc.VM_RECORD.unpack_from(binary, cc.HEAD.size + i * record) for i in range(count)], members


def text_of(field):
    return field.split(b"\0")[0].decode()


def test_defaults_are_filled_in(folder):
    (vm,), members = compiled(GOOD, folder)
    assert text_of(vm[0]) == "one" and vm[1] == 128 << 20
    assert vm[2:11] == (0, 0, 0, 0, 0, 0, 100, 1, 0)
    assert [text_of(field) for field in vm[11:]] == ["k", "", "", ""]
    assert members == {folder / "k": "k"}


def test_every_key_reaches_its_field(folder):
    text = GOOD.replace('"128 MiB"', "256") + (
        'initrd = "i"\ncmdline = "a=b"\nmode = "pv"\npages = "small"\nrtc = "passthrough"\nboot = "linux64"\n'
        'priority = 7\naffinity = [0, 3]\nautostart = false\nrestart = 5\n')
    (vm,), _ = compiled(text, folder)
    assert vm[1:11] == (256 << 20, 3, 1, 1, 2, 2, 5, 7, 0, 0b1001)
    assert [text_of(field) for field in vm[11:14]] == ["k", "i", "a=b"]


def test_disks_become_members_in_their_order(folder):
    for name in ("a", "b", "sub/a"):
        (folder / name).write_bytes(bytes(512))
    (vm,), members = compiled(GOOD + 'disks = ["b", "sub/a", "a", "b"]\n', folder)
    assert [text_of(vm[14][i:]) for i in range(0, len(vm[14]), cc.MEMBER_BYTES)] == ["b", "a", "a.2", "b"]
    assert set(members.values()) == {"k", "b", "a", "a.2"}


def test_layout_is_that_of_the_c_header(tmp_path):
    """The compiler of the C side says where each field lies."""
    fields = ["name", "memory_bytes", "mode", "pages", "rtc", "boot", "restart", "restart_limit", "priority",
              "autostart", "affinity", "kernel", "initrd", "cmdline", "disk"]
    source = tmp_path / "layout.c"
    source.write_text('#include "ipc/vm_config.h"\n#include <stddef.h>\n#include <stdio.h>\nint main(void){\n' + "".join(
        f'printf("%zu ", offsetof(struct vm_config, {field}));' for field in fields) +
        'printf("%zu %zu %llx %s", sizeof(struct vm_config), offsetof(struct system_config, vm),'
        ' (unsigned long long)CONFIG_MAGIC, CONFIG_MEMBER);}\n')
    subprocess.run(["gcc", "-I", ROOT, "-o", tmp_path / "layout", source], check=True)
    words = subprocess.run([tmp_path / "layout"], check=True, capture_output=True, text=True).stdout.split()
    offsets, position = [], 0
    for part in re.findall(r"\d+s|\d*[QI]", cc.VM_RECORD.format):
        for piece in [part] if part.endswith("s") else [part[-1]] * int(part[:-1] or 1):
            offsets.append(position)
            position += struct.calcsize("<" + piece)
    assert [int(word) for word in words[:-3]] == offsets + [cc.VM_RECORD.size]
    assert words[-3:] == [str(cc.HEAD.size), f"{cc.MAGIC:x}", cc.MEMBER]


def test_two_files_of_one_name_become_two_members_and_one_file_only_one(folder):
    text = GOOD + GOOD.replace("one", "two").replace('"k"', '"sub/k"') + GOOD.replace("one", "three")
    vms, members = compiled(text, folder)
    assert [text_of(vm[11]) for vm in vms] == ["k", "k.2", "k"]
    assert members == {folder / "k": "k", folder / "sub/k": "k.2"}


def test_a_file_named_like_a_service_does_not_take_its_place(folder):
    (folder / "vmmserver").write_bytes(b"x")
    (vm,), _ = compiled(GOOD.replace('"k"', '"vmmserver"'), folder)
    assert text_of(vm[11]) == "vmmserver.2"


def test_the_project_own_configurations_compile(tmp_path):
    for path in sorted((ROOT / "config").glob("*.toml")):
        text = path.read_text()
        for value in re.findall(r'^(?:kernel|initrd)\s*=\s*"([^"]*)"', text, re.M):
            (tmp_path / "config" / value).resolve().parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "config").mkdir(exist_ok=True)
            (tmp_path / "config" / value).resolve().write_bytes(b"")
        assert cc.compile_config(text, tmp_path / "config")


MISTAKES = [
    ("", 1, "no machine is described"),
    ("x = 1\n" + GOOD, 1, "unknown table or key 'x'"),
    (GOOD + "\n[net]\na = 1\n", 6, "unknown table or key 'net'"),
    ("vm = 3\n", 1, "vm is not a list of tables"),
    (GOOD + "memry = 1\n", 5, "unknown key 'memry'; expected one of name, memory"),
    (GOOD + 'mode = "kvm"\n', 5, "mode 'kvm' is unknown; expected one of \"auto\", \"vtx\""),
    (GOOD + "mode = 1\n", 5, "mode is the number 1; expected"),
    (GOOD + 'pages = "huge"\n', 5, "pages 'huge' is unknown"),
    (GOOD + 'rtc = "none"\n', 5, "rtc 'none' is unknown"),
    (GOOD + 'boot = "bios"\n', 5, "boot 'bios' is unknown"),
    (GOOD + 'disks = "d"\n', 5, "disks is the text 'd'; expected a list of up to 4 paths"),
    (GOOD + "disks = [1]\n", 5, "disks is the list [1]; expected a list of up to 4 paths"),
    (GOOD + 'disks = ["k", "k", "k", "k", "k"]\n', 5, "disks is the list"),
    (GOOD + 'disks = ["none"]\n', 5, "disks: there is no file"),
    (GOOD + 'disks = ["k"]\n', 5, "has 1 bytes; expected a disk image: a multiple of 512 bytes"),
    (GOOD + "priority = 201\n", 5, "priority is the number 201; expected a whole number from 0 to 200"),
    (GOOD + "priority = true\n", 5, "priority is the truth value True"),
    (GOOD + "autostart = 1\n", 5, "autostart is the number 1; expected true or false"),
    (GOOD + "restart = 0\n", 5, "restart is the number 0"),
    (GOOD + "affinity = [64]\n", 5, "affinity is the list [64]"),
    (GOOD + 'initrd = "nothing"\n', 5, "initrd: there is no file"),
    (GOOD + 'cmdline = "' + "x" * 2048 + '"\n', 5, "cmdline has 2048 bytes; expected a text of at most 2047 bytes"),
    (GOOD + 'cmdline = "a\\nb"\n', 5, "cmdline has a control character"),
    (GOOD + "name\n", 5, "not TOML"),
    (GOOD + GOOD, 6, "a second machine called 'one'"),
    (GOOD + 'rtc = "passthrough"\n' + GOOD.replace("one", "two") + 'rtc = "passthrough"\n', 10, "go to 'one' already"),
    (GOOD.replace('kernel = "k"\n', ""), 1, "this [[vm]] has no 'kernel'; expected kernel = \"PATH\""),
    (GOOD.replace('"one"', '""'), 2, "name '' cannot be used"),
    (GOOD.replace('"one"', '"' + "n" * 32 + '"'), 2, "cannot be used; expected 1 to 31 letters"),
    (GOOD.replace('"128 MiB"', '"129 MiB"'), 3, "memory '129 MiB' cannot be had; expected a multiple of 2 MiB"),
    (GOOD.replace('"128 MiB"', "0"), 3, "memory 0 cannot be had"),
    (GOOD.replace('"128 MiB"', "-2"), 3, "memory -2 cannot be had"),
    (GOOD.replace('"128 MiB"', '"9999999 GiB"'), 3, "cannot be had"),
    (GOOD.replace('"128 MiB"', '"lots"'), 3, "memory 'lots' is not an amount"),
    (GOOD.replace('"128 MiB"', "1.5"), 3, "memory 1.5 is not an amount"),
    ("".join(GOOD.replace("one", f"vm{i}") for i in range(17)), 65, "17 machines; expected 16"),
]


@pytest.mark.parametrize("text, line, message", MISTAKES)
def test_a_mistake_is_reported_with_its_line_and_what_was_expected(folder, capsys, text, line, message):
    source = folder / "vms.toml"
    source.write_text(text)
    assert cc.main([str(source), str(folder / "out"), str(folder / "members")]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"{source}:{line}: ") and message in error and "; expected " in error
    assert error.count("\n") == 1 and not (folder / "out").exists()


def test_a_key_inside_a_multi_line_string_is_not_taken_for_its_line(folder, capsys):
    source = folder / "vms.toml"
    source.write_text(GOOD + 'cmdline = """\\\n  pages = 7 \\\n  """\npages = 1\n')
    assert cc.main([str(source), str(folder / "out"), str(folder / "members")]) == 1
    assert capsys.readouterr().err.startswith(f"{source}:8: pages")


def test_a_missing_file_and_bytes_that_are_not_utf8_are_named(folder, capsys):
    assert cc.main([str(folder / "none.toml"), "o", "m"]) == 1
    assert "none.toml:1: cannot be read" in capsys.readouterr().err
    (folder / "bad.toml").write_bytes(b"# fine\n# \xff\n")
    assert cc.main([str(folder / "bad.toml"), "o", "m"]) == 1
    assert "bad.toml:2: a byte that is not UTF-8" in capsys.readouterr().err


def test_the_list_of_members_is_what_the_packer_reads(folder):
    (folder / "vms.toml").write_text(GOOD + 'initrd = "i"\n')
    assert cc.main([str(folder / "vms.toml"), str(folder / "out"), str(folder / "members")]) == 0
    assert (folder / "members").read_text().splitlines() == [
        f"beaml4.config={folder / 'out'}", f"k={folder / 'k'}", f"i={folder / 'i'}"]


def test_a_hundred_thousand_damaged_descriptions_compile_or_are_explained(folder):
    """Every mistake has a line and says what was expected; nothing else ever comes of a text."""
    random, whole = random_module.Random(1), GOOD + 'priority = 5\nrestart = 3\naffinity = [0, 1]\ncmdline = "a b"\n'
    pieces = ["[[vm]]", "[vm]", "=", '"', "'", "\n", "[", "]", "{", "}", "memory", "name", "128", "-1", "1e9", "true", "\x00",
              "é", "disks = [", "restart", "\\", "#", ",", "0x10", "1979-05-27", "inf", '"""', "priority = 300\n"]
    compiled_count = 0
    for _ in range(100_000):
        text = whole
        for _ in range(random.randrange(1, 4)):
            at, end = sorted(random.randrange(len(text) + 1) for _ in range(2))
            text = text[:at] + random.choice(pieces) + text[min(end, at + random.randrange(6)):]
        try:
            cc.compile_config(text, folder)
            compiled_count += 1
        except cc.Mistake as mistake:
            assert 1 <= mistake.line <= text.count("\n") + 1 and "expected" in str(mistake), text
    assert 0 < compiled_count < 100_000
