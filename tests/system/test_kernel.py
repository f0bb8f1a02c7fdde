"""The kernel's own test program (tests/kernel), each of its cases as one test here.

It runs once in QEMU and once in Bochs, which has VT-x. A case passes where neither failed it and one ran it.
"""
import concurrent.futures
import os
import pathlib
import re

import pytest

import tap

ROOT = pathlib.Path(__file__).resolve().parents[2]
KERNEL = ROOT / "build/kernel.elf"
ROOT_TASK = ROOT / "build/kerneltest.elf"
OTHER_KERNEL = os.environ.get("SEL4_KERNEL", "")

CASES = sorted(name for source in (ROOT / "tests/kernel").glob("test_*.c")
               for name in re.findall(r"^TEST\((\w+)\)", source.read_text(), re.M))


@pytest.fixture(scope="module")
def runs():
    with concurrent.futures.ThreadPoolExecutor() as pool:
        futures = {"QEMU": pool.submit(tap.run_qemu, KERNEL, ROOT_TASK, 300),
                   "Bochs": pool.submit(tap.run_bochs, KERNEL, ROOT_TASK, 600)}
        return {name: future.result() for name, future in futures.items()}


@pytest.fixture(scope="module")
def other_run():
    return tap.run_bochs(OTHER_KERNEL, ROOT_TASK, 900)


def outcome(run, name, where):
    """None where the case passed; why it was skipped; an assertion otherwise."""
    case = next((case for case in run.cases if case.name == name), None)
    assert case, f"{where}: the case did not end; the output's end:\n" + "\n".join(run.output.splitlines()[-30:])
    assert case.passed, f"{where}:\n" + "\n".join(case.notes)
    return case.skipped or None


@pytest.mark.parametrize("name", CASES)
def test_case(runs, name):
    skipped = [reason for where, run in runs.items() if (reason := outcome(run, name, where))]
    if len(skipped) == len(runs):
        pytest.skip("; ".join(sorted(set(skipped))))


def test_program_ran_to_its_end(runs):
    for where, run in runs.items():
        assert run.finished, f"{where}:\n" + "\n".join(run.output.splitlines()[-30:])
        assert sorted(case.name for case in run.cases) == CASES, where


def test_bochs_offered_vt_x(runs):
    assert "virtual CPUs: by VT-x" in runs["Bochs"].output


@pytest.mark.parametrize("name", CASES if OTHER_KERNEL else ["all of them"])
def test_case_on_other_kernel(request, name):
    if not OTHER_KERNEL:
        pytest.skip("SEL4_KERNEL names no other kernel")
    if reason := outcome(request.getfixturevalue("other_run"), name, OTHER_KERNEL):
        pytest.skip(reason)
