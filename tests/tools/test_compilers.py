"""Both compilers accept the whole tree without a warning (warnings are errors)."""

import os
import pathlib
import shutil
import subprocess

TOP = pathlib.Path(__file__).resolve().parents[2]


def test_everything_compiles_with_clang(tmp_path):
    tree = tmp_path / "tree"
    shutil.copytree(TOP, tree, ignore=shutil.ignore_patterns("build", ".git"), symlinks=True)
    (tree / "build").mkdir()
    if (TOP / "build/zydis").exists():
        (tree / "build/zydis").symlink_to(TOP / "build/zydis")
    done = subprocess.run(["make", "-j", str(os.cpu_count()), "CC=clang", "all", "unit-tests"], cwd=tree,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
