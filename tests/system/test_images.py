"""Guest kernels that the monitor refuses: each gets its message, nothing is left behind, and a good VM runs."""
import re

import pytest
from images import bad_images
from machine import ROOT, Machine, make_iso
from test_lifecycle import assert_last_totals, totals

GUEST = ROOT / "build/guests/poweroff.elf"
VMS_AT_ONCE = 12
IMAGES = bad_images(GUEST.read_bytes()) if GUEST.exists() else []


def vm(name, kernel, **settings):
    settings = {"name": name, "memory": "16 MiB", "kernel": str(kernel), **settings}
    return "[[vm]]\n" + "".join(f'{key} = "{value}"\n' for key, value in settings.items())


@pytest.mark.skipif(not IMAGES, reason="build/guests/poweroff.elf is not built")
@pytest.mark.parametrize("first", range(0, len(IMAGES), VMS_AT_ONCE))
def test_bad_kernels_are_refused_each_for_its_reason(tmp_path, kernel, first):
    images = IMAGES[first:first + VMS_AT_ONCE]
    config = ""
    for image in images:
        settings = dict(image.settings)
        (tmp_path / image.name).write_bytes(image.kernel)
        if image.initrd is not None:
            settings["initrd"] = str(tmp_path / f"{image.name}.initrd")
            (tmp_path / f"{image.name}.initrd").write_bytes(image.initrd)
        config += vm(image.name, tmp_path / image.name, **settings)
    config += vm("good", GUEST, cmdline="poweroff")
    with Machine.boot(make_iso(config, tmp_path, kernel), "bochs", memory=512) as machine:
        before = totals(machine)
        machine.expect(r"\[init\] no VM is running")
        for number, image in enumerate(images):
            said = re.search(rf'VM {number} "{image.name}" refused: (.*)', machine.transcript)
            assert said, f"nothing about {image.name}:\n{machine.transcript}"
            assert re.search(image.message, said[1]), f"{image.name}: {said[1]}"
        assert f'VM {len(images)} "good" powered off' in machine.transcript
        assert_last_totals(machine, before)
