#!/usr/bin/env python3
"""Makes the initramfs of the Linux guests: a static busybox and the files of one folder.

usage: make_initramfs.py [--busybox FILE] [--files FOLDER] [--init FILE] [--modules FOLDER]... OUTPUT

Every regular file below FOLDER lands at the same path, with its permission bits; what a folder of kernel modules has
lands in lib/modules, for a guest that wants it (guests/linux/etc/load-virtio). The archive is not compressed: in an
emulator copying two megabytes is quicker than inflating one.
"""

import argparse
import os
import pathlib
import stat
import subprocess

import cpio

TOP = pathlib.Path(__file__).resolve().parent.parent


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--busybox", default="/bin/busybox", help="static busybox (default /bin/busybox)")
    parser.add_argument("--files", default=TOP / "guests/linux", help="folder of files (default guests/linux)")
    parser.add_argument("--init", help="a static program to be the first process instead of busybox")
    parser.add_argument("--modules", type=pathlib.Path, action="append", default=[],
                        help="folder with a folder of kernel modules for each release (tools/fetch-linux.sh makes one)")
    parser.add_argument("output")
    arguments = parser.parse_args()

    archive = cpio.Archive()
    for folder in ("bin", "dev", "etc", "proc", "root", "run", "sbin", "sys", "tmp", "usr"):
        archive.add(folder, mode=stat.S_IFDIR | 0o755)
    archive.add("dev/console", mode=stat.S_IFCHR | 0o600, rdev=(5, 1))
    with open(arguments.busybox, "rb") as file:
        archive.add("bin/busybox", file.read(), stat.S_IFREG | 0o755)
    applets = subprocess.run([arguments.busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    for applet in sorted(set(applets) - {"busybox"}):
        archive.add(f"bin/{applet}", b"busybox", stat.S_IFLNK | 0o777)
    if arguments.init:
        archive.add("init", pathlib.Path(arguments.init).read_bytes(), stat.S_IFREG | 0o755)
    else:
        archive.add("init", b"bin/busybox", stat.S_IFLNK | 0o777)

    known = {"bin", "dev", "etc", "proc", "root", "run", "sbin", "sys", "tmp", "usr"}
    for folder, folders, files in sorted(os.walk(arguments.files)):
        folders.sort()
        relative = os.path.relpath(folder, arguments.files)
        if relative != "." and relative not in known:
            archive.add(relative, mode=stat.S_IFDIR | 0o755)
        for name in sorted(files):
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                archive.add(os.path.normpath(os.path.join(relative, name)), file.read(),
                            stat.S_IFREG | stat.S_IMODE(os.stat(path).st_mode))
    if arguments.modules:
        archive.add("lib", mode=stat.S_IFDIR | 0o755)
        archive.add("lib/modules", mode=stat.S_IFDIR | 0o755)
    for release in sorted(release for folder in arguments.modules for release in folder.glob("*")):
        archive.add(f"lib/modules/{release.name}", mode=stat.S_IFDIR | 0o755)
        for path in sorted(release.glob("*.ko")):
            archive.add(f"lib/modules/{release.name}/{path.name}", path.read_bytes(), stat.S_IFREG | 0o644)
    with open(arguments.output, "wb") as file:
        file.write(archive.bytes())


if __name__ == "__main__":
    main()
