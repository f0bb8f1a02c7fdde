"""docs/ipc.md is what the protocols' lists say."""
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_the_page_of_protocols_is_made_of_their_lists():
    subprocess.run(["make", "-s", "build/describe_ipc"], cwd=ROOT, check=True)
    page = subprocess.run([ROOT / "build/describe_ipc"], check=True, capture_output=True, text=True).stdout
    assert (ROOT / "docs/ipc.md").read_text() == page, "run make docs"
    for operation in ("TIME_START", "HV_VM_RUNNING", "DEBUG_TRACE", "VIRTIO_SHARE"):
        assert page.count(f"| `{operation}` ") == 1
