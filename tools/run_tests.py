#!/usr/bin/env python3
"""Runs the project's tests (./test.sh builds what they need) and adds them up.

Prints one line a test as it ends; what a failing test said goes below it. The last line is
`N passed, N failed, N skipped`, and the exit status is 0 only where none failed and some passed.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import xml.etree.ElementTree

TOP = pathlib.Path(__file__).resolve().parent.parent
COLOURS = {"ok": "32", "FAILED": "31", "skipped": "33"}
# A line of pytest's, or of its workers', about one test; those at the end of a run begin with the outcome.
TEST_ENDED = re.compile(r"(PASSED|SKIPPED|FAILED|ERROR) .*::|::.* (PASSED|SKIPPED|FAILED|ERROR)")
TAP_LINE = re.compile(r"^(not )?ok \d+ - (.*?)(?: # (SKIP.*))?$")


class Totals:
    def __init__(self) -> None:
        self.passed = self.failed = self.skipped = 0

    def add(self, outcome: str, name: str, details: str = "") -> None:
        field = {"ok": "passed", "FAILED": "failed", "skipped": "skipped"}[outcome]
        setattr(self, field, getattr(self, field) + 1)
        word = f"\033[{COLOURS[outcome]}m{outcome}\033[0m" if sys.stdout.isatty() else outcome
        print(f"{word}: {name}{': ' + details if details and outcome == 'skipped' else ''}", flush=True)
        if details and outcome == "FAILED":
            print("    " + details.strip().replace("\n", "\n    "), flush=True)


def run_unit(totals: Totals, pattern: str) -> None:
    """Every program in build/tests: cmocka, which prints TAP."""
    for program in sorted((TOP / "build/tests").glob("test_*")):
        if not os.access(program, os.X_OK) or not (TOP / "tests/unit" / f"{program.name}.c").exists():
            continue
        environment = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="TAP", ASAN_OPTIONS="detect_leaks=1")
        done = subprocess.run([program], capture_output=True, text=True, errors="replace", env=environment, cwd=TOP)
        cases = [match for line in done.stdout.splitlines() if (match := TAP_LINE.match(line))]
        failed = False
        for bad, name, skip in (case.groups() for case in cases):
            failed = failed or bool(bad)
            full_name = f"unit {program.name[5:]}: {name}"
            if pattern in full_name:
                totals.add("skipped" if skip else "FAILED" if bad else "ok", full_name, (skip or "") if not bad else done.stderr[-3000:])
        planned = re.search(r"^1\.\.(\d+)$", done.stdout, re.MULTILINE)
        complete = planned is not None and int(planned.group(1)) == len(cases) > 0
        if (done.returncode != 0 and not failed) or not complete:
            totals.add("FAILED", f"unit {program.name[5:]}: runs to its end (exit status {done.returncode})", done.stderr[-4000:])


FUZZ_RUNS = 2000
FUZZ_RUNS_OF = {"config": 100000}  # what is quick is searched longer


def run_fuzz(totals: Totals, pattern: str) -> None:
    """Every program in build/fuzz, with a fixed seed: a longer search is for other times (see tests/fuzz/build.mk)."""
    for source in sorted((TOP / "tests/fuzz").glob("fuzz_*.c")):
        runs = FUZZ_RUNS_OF.get(source.stem[5:], FUZZ_RUNS)
        name = f"fuzz {source.stem[5:]}: {runs} random inputs do no harm"
        if pattern not in name:
            continue
        program = TOP / "build/fuzz" / source.stem
        if not program.exists():
            totals.add("FAILED", name, f"{program} is not built")
            continue
        done = subprocess.run([program, f"-runs={runs}", "-seed=1"], capture_output=True, text=True, errors="replace",
                              cwd=TOP)
        totals.add("ok" if done.returncode == 0 else "FAILED", name, (done.stdout + done.stderr)[-4000:] if done.returncode else "")


def run_pytest(totals: Totals, kind: str, folder: str, pattern: str) -> None:
    """A folder of pytest files; its results come from the JUnit file, its progress straight from pytest."""
    with tempfile.TemporaryDirectory() as work:
        report = pathlib.Path(work) / "report.xml"
        command = ["/usr/bin/python3", "-m", "pytest", "-p", "no:cacheprovider", f"--junitxml={report}", folder]
        if kind == "system":
            # Emulators take one core each. A file's tests stay together: some share one boot.
            command += ["-n", str(os.cpu_count()), "--dist", "loadscope"]
        if pattern:
            command += ["-k", pattern]
        # The report comes at the end; until then pytest's own lines show that something happens.
        process = subprocess.Popen(command + ["-v", "--tb=no", "--no-header"], cwd=TOP, text=True, errors="replace",
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        output: list[str] = []

        def follow() -> None:
            for line in process.stdout:
                output.append(line)
                if TEST_ENDED.search(line) and not line.startswith(("FAILED", "ERROR")):
                    print(f"... {line.rstrip()}", file=sys.stderr, flush=True)

        reader = threading.Thread(target=follow)
        reader.start()
        status = process.wait()
        reader.join()
        if not report.exists():
            totals.add("FAILED", f"{kind}: pytest ran", "".join(output)[-4000:])
            return
        for case in xml.etree.ElementTree.parse(report).getroot().iter("testcase"):
            name = f"{kind} {case.get('classname', '').rsplit('.', 1)[-1]}: {case.get('name')}"
            trouble = next((child for child in case if child.tag in ("failure", "error")), None)
            skip = case.find("skipped")
            if trouble is not None:
                totals.add("FAILED", name, (trouble.text or trouble.get("message") or "")[-6000:])
            elif skip is not None:
                totals.add("skipped", name, skip.get("message") or "")
            else:
                totals.add("ok", name)
        if status not in (0, 1, 5):
            totals.add("FAILED", f"{kind}: pytest ended with status {status}", "".join(output)[-4000:])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", default="", help="unit, tools, fuzz, system, or part of a name")
    what = parser.parse_args().what
    group = what if what in ("unit", "tools", "fuzz", "system") else ""
    pattern = "" if group else what
    totals = Totals()
    if group in ("", "unit"):
        run_unit(totals, pattern)
    if group in ("", "tools"):
        run_pytest(totals, "tools", "tests/tools", pattern)
    if group in ("", "fuzz"):
        run_fuzz(totals, pattern)
    if group in ("", "system"):
        run_pytest(totals, "system", "tests/system", pattern)
    print(f"{totals.passed} passed, {totals.failed} failed, {totals.skipped} skipped")
    return 0 if totals.failed == 0 and totals.passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
