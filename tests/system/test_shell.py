"""The debug shell and the console that it shares with guests, in whole boots."""
import re

from machine import ROOT, Machine, compile_config, make_iso, pack_iso, servers
from test_lifecycle import totals, vm
from test_linux import linux, run as run_in_linux, wait_for_shell

HEARTBEAT = str(ROOT / "build/guests/heartbeat.elf")
CTRL_RIGHT_BRACKET = "\x1d"
PROMPT = r"\rbeaml4> \x1b\[K"


def beating(name, **options):
    """A [[vm]] table with the guest that prints `NAME beat COUNT` for ever and says what it hears."""
    return vm(name, name, **{"kernel": HEARTBEAT, **options})


def boot(config, folder):
    return Machine.boot(make_iso(config, folder), "qemu")


def open_shell(machine):
    machine.send(CTRL_RIGHT_BRACKET)
    machine.expect(PROMPT)


def run(machine, line, answer):
    """Types LINE and gives the match of ANSWER, a regular expression."""
    machine.send(line + "\r")
    machine.expect(re.escape(line) + r"\r\n")
    return machine.expect(answer)


def next_beat(machine, name):
    return int(machine.expect(rf"{name} beat ([0-9a-f]{{8}})\r\n")[1], 16)


def wait_for_start(machine, count):
    """Until COUNT guests run: from then on no line of the log comes in between."""
    for _ in range(count):
        machine.expect(r'VM \d+ "\w+" is running\r\n')


def last_beat(machine, name):
    return int(re.findall(rf"{name} beat ([0-9a-f]{{8}})\r\n", machine.transcript)[-1], 16)


def expect_beats(machine, name, last, count):
    """COUNT beats without a gap behind the LAST that was shown whole; leaving the console may have cut one in two."""
    first = next_beat(machine, name)
    assert first in (last + 1, last + 2)
    for number in range(first + 1, first + count):
        assert next_beat(machine, name) == number


def test_the_terminal_goes_where_the_user_wants_and_no_beat_is_missed(tmp_path):
    with boot(beating("one") + beating("two"), tmp_path) as machine:
        wait_for_start(machine, 2)
        machine.send("x")
        machine.expect("one heard x")
        open_shell(machine)
        seen = last_beat(machine, "one")
        assert "two beat" not in machine.transcript
        machine.silent_for("beat", 2)
        run(machine, "console two", r'console of VM 1 "two"; Ctrl-\] leads back')
        for count in range(1, 8):  # from its first one on
            assert next_beat(machine, "two") == count
        machine.send("y")
        machine.expect("two heard y")
        open_shell(machine)
        run(machine, "console 0", r'console of VM 0 "one"; Ctrl-\] leads back')
        expect_beats(machine, "one", seen, 15)
        assert "heard" not in machine.transcript[machine.transcript.rindex("console of VM 0"):]


def test_commands_answer_and_mistakes_are_explained(tmp_path):
    config = (beating("on") + beating("spare").replace("[[vm]]", "[[vm]]\nautostart = false")
              + vm("huge", memory="64 GiB"))
    with boot(config, tmp_path) as machine:
        wait_for_start(machine, 1)
        machine.expect("on beat")
        open_shell(machine)
        run(machine, "ps", r" 0 on +running +svm +16 MiB +\d+ MiB +\d+% +\d+ +0 +0:00:\d\d\r\n"
                           r" 1 spare +off +auto +16 MiB +- +- +- +0 +-\r\n"
                           r" 2 huge +off +auto +64 GiB +- +- +- +0 +-\r\n"
                           r" - logserver +running(.|\n)* - timeserver +running(.|\n)* - dbgserver +running")
        run(machine, "help pause", r"pause VM +stop it where it is")
        run(machine, "time", r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC")
        free = run(machine, "mem", r"free \((\d+) bytes\), largest free piece \d+ [KMG]iB")[1]
        run(machine, "log", r"\[init\] logserver started(.|\n)*VM 0 \"on\" is running\r\n" + PROMPT)
        run(machine, "create spare", "create: done")
        machine.expect(r'VM 1 "spare" is running')
        run(machine, "create spare", "create: not in the state that it is in")
        run(machine, "create huge", r'VM 2 "huge" not started: it wants 65536 MiB(.|\n)*create: it failed')
        run(machine, "kill huge", "kill: not in the state")
        run(machine, "resume spare", "resume: not in the state")
        run(machine, "reboot spare", r'VM 1 "spare" reboots(.|\n)*reboot: done')
        machine.expect(r'VM 1 "spare" is running')
        run(machine, "ps", r" 1 spare +running +svm +16 MiB +\d+ MiB +\d+% +\d+ +1 ")
        run(machine, "kill spare", r'VM 1 "spare" killed(.|\n)*kill: done')
        assert run(machine, "mem", r"free \((\d+) bytes\)")[1] == free
        run(machine, "kill nobody", 'there is no VM "nobody"')
        run(machine, "kill", r"kill takes VM\|SERVICE")
        run(machine, "shutdown", 'there is no command "shutdown"')
        machine.send("xx\x15ti\t\r")  # Ctrl-U, completion
        machine.expect(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC")
        machine.send("\x1b[A\r")      # the line before
        machine.expect(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC")


def test_a_guest_is_looked_at_while_it_runs(tmp_path):
    with boot(beating("one") + beating("two"), tmp_path) as machine:
        wait_for_start(machine, 2)
        machine.expect("one beat")
        open_shell(machine)
        run(machine, "ps", r" 0 one +running +svm +16 MiB +\d+ MiB +\d+% +[1-9]\d* ")
        table = run(machine, "stats one", r"exits by reason(.|\n)*all +(\d+)\r\n")
        rows = re.findall(r"\n(\S[^\r\n]*?) +(\d+) +\d+ % +\d+ +\d+\r", table[0])
        assert {"port", "cpuid"} & {name for name, _ in rows}
        assert abs(sum(int(count) for _, count in rows) - int(table[2])) < 100  # it goes on while it is looked at
        run(machine, "trace one", r"  port \(123\) at [0-9a-f]+, qualification(.|\n)*" + PROMPT)
        run(machine, "dump one", "dump: done")
        machine.expect(r'\[vmm0\] VM 0 "one", at \d+ exits:\r\n\[vmm0\]   rax [0-9a-f]{16} ')
        machine.expect(r"\[vmm0\]   cs   [0-9a-f]{4}  base")
        for _ in range(8):
            machine.expect(r"\[vmm0\]   stack [0-9a-f]{16} [ 0-9a-f]*\r\n")
        run(machine, "console one", "leads back")
        next_beat(machine, "one")
        open_shell(machine)
        run(machine, "pause one", "pause: done")
        run(machine, "dump one", "dump: not in the state")


def test_how_and_where_a_vm_runs_is_changed_by_command(tmp_path):
    with boot(beating("one"), tmp_path) as machine:
        wait_for_start(machine, 1)
        open_shell(machine)
        run(machine, "mode one ept-small", "mode: done, from its next start on")
        large = run(machine, "ps", r" 0 one +running +svm +16 MiB +(\d+) MiB")[1]
        run(machine, "reboot one", "reboot: done")
        wait_for_start(machine, 1)
        assert int(run(machine, "ps", r" 0 one +running +svm +16 MiB +(\d+) MiB")[1]) >= int(large)
        run(machine, "console one", "leads back")
        next_beat(machine, "one")
        open_shell(machine)
        run(machine, "mode one vtx", "mode: done")
        run(machine, "reboot one", r'VM 0 "one" not started: it needs VT-x(.|\n)*reboot: it failed')
        run(machine, "mode one auto", "mode: done")
        run(machine, "create one", "create: done")
        run(machine, "affinity one 0", "affinity: done")
        run(machine, "affinity one 63", r"its affinity names no CPU(.|\n)*affinity: it failed")
        run(machine, "console one", "leads back")
        next_beat(machine, "one")


def test_the_log_is_shown_again_and_followed_by_process(tmp_path):
    with boot(beating("one") + beating("two"), tmp_path) as machine:
        wait_for_start(machine, 2)
        open_shell(machine)
        again = run(machine, "log two", r"(.|\n)*" + PROMPT)[0]
        assert "[vmm1] monitor starts" in again and "[init]" not in again and "[vmm0]" not in again
        again = run(machine, "log", r"(.|\n)*" + PROMPT)[0]
        assert "[init] logserver started" in again and "[vmm0] monitor starts" in again
        run(machine, "log -f two", r"\[vmm1\] monitor starts(.|\n)*any key ends this")
        machine.send("q")
        machine.expect(PROMPT)
        run(machine, "kill one", r'\[init\] VM 0 "one" killed')  # which is shown again
        run(machine, "log virtio9", 'there is no process "virtio9"')


def test_round_trips_are_measured_and_the_machine_is_reset(tmp_path):
    with boot(beating("one"), tmp_path) as machine:
        wait_for_start(machine, 1)
        open_shell(machine)
        run(machine, "ipcbench", r"call to init and reply +(\d+) ticks\r\n"
                                 r"call to timeserver and reply +(\d+) ticks\r\nsignal to logserver.* +(\d+) ticks")
        run(machine, "reboot host", r'VM 0 "one" killed(.|\n)*the machine is reset')
        machine.process.wait(60)  # QEMU's -no-reboot


def test_a_paused_guest_goes_on_where_it_was(tmp_path):
    with boot(beating("one") + beating("two"), tmp_path) as machine:
        wait_for_start(machine, 2)
        first = next_beat(machine, "one")
        open_shell(machine)
        for _ in range(10):  # wherever it is when it is paused: in its guest, or in its monitor
            run(machine, "pause one", "pause: done")
            run(machine, "pause one", "pause: not in the state")
            run(machine, "ps", " 0 one +paused(.|\n)* 1 two +running")
            run(machine, "resume one", "resume: done")
        run(machine, "pause one", "pause: done")
        run(machine, "console one", "leads back")
        machine.silent_for(r"\[vmm0\]|crashed", 2)
        paused_at = last_beat(machine, "one")
        open_shell(machine)
        run(machine, "resume one", "resume: done")
        run(machine, "console one", "leads back")
        expect_beats(machine, "one", paused_at, 5)
        shown = [int(beat, 16) for beat in re.findall(r"one beat ([0-9a-f]{8})\r\n", machine.transcript)]
        assert len(set(range(first, shown[-1])) - set(shown)) <= 2  # cut in two, once for each way to the shell
        assert shown == sorted(set(shown))
        open_shell(machine)
        run(machine, "pause two", "pause: done")
        run(machine, "kill two", r'VM 1 "two" killed(.|\n)*kill: done')


def test_one_vm_is_killed_and_made_anew_twenty_times_while_another_lives_on(tmp_path):
    with boot(beating("witness") + beating("victim"), tmp_path) as machine:
        wait_for_start(machine, 2)
        first = next_beat(machine, "witness")
        open_shell(machine)
        before = None
        for _ in range(20):
            run(machine, "kill victim", r'VM 1 "victim" killed')
            after = totals(machine)
            assert before in (None, after)
            before = after
            machine.expect("kill: done")
            run(machine, "create 1", "create: done")
            machine.expect(r'VM 1 "victim" is running')
        run(machine, "ps", r" 0 witness +running +svm +16 MiB +\d+ MiB +\d+% +\d+ +0 (.|\n)* 1 victim +running .* 20 ")
        run(machine, "console witness", "leads back")
        beats = [next_beat(machine, "witness") for _ in range(10)]
        assert beats == list(range(beats[0], beats[0] + 10)) and beats[0] > first
        open_shell(machine)
        run(machine, "console victim", "leads back")
        machine.expect("victim beat")


def test_linux_is_paused_at_any_time_and_rebooted_by_command(tmp_path):
    with Machine.boot(make_iso(linux("linux-cloud.vmlinux") + beating("witness"), tmp_path), "qemu",
                      memory=512) as machine:
        machine.expect("Linux version")
        open_shell(machine)
        for _ in range(10):  # while it boots
            run(machine, "pause linux", "pause: done")
            run(machine, "resume linux", "resume: done")
        run(machine, "console linux", "leads back")
        wait_for_shell(machine)
        assert run_in_linux(machine, "expr 6 '*' 7").strip() == "42"
        open_shell(machine)
        for _ in range(10):  # while it has nothing to do
            run(machine, "pause linux", "pause: done")
            run(machine, "resume linux", "resume: done")
        run(machine, "console linux", "leads back")
        assert run_in_linux(machine, "expr 6 '*' 7").strip() == "42"
        open_shell(machine)
        run(machine, "reboot linux", "reboot: done")
        machine.expect(r'VM 0 "linux" is running')
        run(machine, "console linux", "leads back")
        wait_for_shell(machine)
        assert int(run_in_linux(machine, "cut -d. -f1 /proc/uptime")) < 120
        open_shell(machine)
        run(machine, "console witness", "leads back")
        next_beat(machine, "witness")


def test_what_is_typed_when_no_guest_runs_goes_to_the_shell(tmp_path):
    with boot(vm("short"), tmp_path) as machine:
        machine.expect("no VM is running")
        run(machine, "ps", " 0 short +off")
        run(machine, "console short", "which is off; Ctrl-. leads back")
        run(machine, "ps", " 0 short +off")  # there is no console without a way out


def test_a_shell_that_sends_nonsense_and_dies_hurts_nobody(tmp_path):
    members = servers() | compile_config(beating("witness"), tmp_path) | {"dbgserver": ROOT / "build/testshell.elf"}
    with Machine.boot(pack_iso(members, tmp_path), "qemu") as machine:
        wait_for_start(machine, 1)
        next_beat(machine, "witness")
        without = set()
        for _ in range(3):
            machine.send(CTRL_RIGHT_BRACKET + "n")
            machine.expect(r"\[init\] dbgserver faulted and starts again: .* null pointer")
            without.add(totals(machine))
        assert len(without) == 1  # everything is given back each time
        machine.send("f")
        machine.expect(r"\[init\] dbgserver faulted and is stopped: .* null pointer")
        for _ in range(10):  # what was kept, and what comes
            next_beat(machine, "witness")
        # Each time that the terminal leaves the guest's console it may cut a beat in two.
        beats = [int(beat, 16) for beat in re.findall(r"witness beat ([0-9a-f]{8})\r\n", machine.transcript)]
        assert all(after - before in (1, 2) for before, after in zip(beats, beats[1:]))
        machine.send(CTRL_RIGHT_BRACKET + "z")  # nowhere to lead to
        machine.expect("witness heard z")


def test_halt_ends_the_vms_and_stops_the_machine(tmp_path):
    with boot(beating("one") + beating("two"), tmp_path) as machine:
        wait_for_start(machine, 2)
        open_shell(machine)
        run(machine, "halt", r'VM 0 "one" killed(.|\n)*VM 1 "two" killed(.|\n)*the machine stops')
        machine.expect(r"\[kernel\] halted")
        machine.silent_for("beat", 2)
