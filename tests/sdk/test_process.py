"""The end of the process, forks and kill -9, in processes of their own."""

import signal
import threading
import time

import pytest

CLIENT = """
    import os, sys, time, thumbline
    def client(**options):
        return thumbline.Client(sys.argv[1], key="k", **options)
"""
# Another thread holds locks; what comes back lets them go.
HOLD = """
    import threading
    from contextlib import ExitStack
    def hold(*locks):
        held, done = threading.Event(), threading.Event()
        def run():
            with ExitStack() as stack:
                for lock in locks:
                    stack.enter_context(lock)
                held.set()
                done.wait(60)
        thread = threading.Thread(target=run)
        thread.start()
        held.wait()
        def let_go():
            done.set()
            thread.join()
        return let_go
"""


def test_a_plain_exit_delivers(server, run_python):
    """1,000 events, no flush, and the interpreter ends."""
    run_python(
        CLIENT
        + """
    tl = client()
    for i in range(1000):
        tl.thumb(f"a{i}", "up", rater="u")
    """,
        server.url,
    )

    assert len(server.stored) == 1000


def test_exit_after_an_exception_delivers(server, run_python):
    """Also when the program fails, and the client is no global."""
    done = run_python(
        CLIENT
        + """
    def main():
        tl = client()
        tl.thumb("a", "up", rater="u")
        raise SystemExit(3)
    main()
    """,
        server.url,
        check=False,
    )

    assert done.returncode == 3
    assert len(server.stored) == 1


@pytest.mark.parametrize("mode", ["refused", "hanging"])
def test_exit_without_a_server_ends_in_time_and_loses_nothing(server, run_python, tmp_path, mode):
    """Server away or silent: the process ends within its deadline, the next one delivers."""
    gate, over = server, threading.Event()
    if mode == "refused":
        server.is_down = True
    else:
        server.script = [lambda batch: 503 + 0 * over.wait(25)] * 9
    done = run_python(
        CLIENT
        + """
    tl = client(spool=sys.argv[2], exit_timeout_s=1)
    for i in range(300):
        tl.thumb(f"a{i}", "up", rater="u")
    """,
        server.url,
        tmp_path,
        quiet=False,
    )
    # Far from what the server takes; most of it is Python's own start where the machine is busy.
    assert done.seconds < 15
    assert len(gate.stored) == 0
    over.set()

    server.is_down, server.script = False, []
    done = run_python(
        CLIENT
        + """
    tl = client(spool=sys.argv[2])
    assert tl.flush()
    print(tl.stats().recovered)
    """,
        server.url,
        tmp_path,
    )
    assert done.stdout.strip() == "300"
    assert len(server.stored) == 300
    assert list(tmp_path.iterdir()) == []


def test_the_default_spool_is_private(server, run_python, tmp_path):
    """The default directory lies in the state directory, readable by its owner only, one per URL and key."""
    server.is_down = True
    run_python(
        CLIENT
        + """
    tl = client(exit_timeout_s=0.2)
    tl.thumb("a", "up", rater="somebody@example.com", comment="c")
    """,
        server.url,
        quiet=False,
    )

    (directory,) = (tmp_path / "state" / "thumbline" / "spool").iterdir()
    (segment,) = directory.iterdir()
    assert (directory.stat().st_mode & 0o777, segment.stat().st_mode & 0o777) == (0o700, 0o600)
    assert b"somebody" not in segment.read_bytes()


def test_ctrl_c_at_exit_is_swallowed_and_loses_nothing(server, run_python, tmp_path):
    """Whoever is in a hurry gets no traceback, and the events are in the spool."""
    server.is_down = True
    process = run_python(
        CLIENT
        + """
    import signal
    # A test run in the background hands down an ignored Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    tl = client(spool=sys.argv[2], exit_timeout_s=20)
    for i in range(10):
        tl.thumb(f"a{i}", "up", rater="u")
    import atexit
    atexit.register(lambda: print("ending", flush=True))
    """,
        server.url,
        tmp_path,
        wait=False,
    )
    assert process.stdout.readline() == "ending\n"
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=18)

    assert process.returncode == 0
    assert "Traceback" not in errors
    assert sum(path.read_bytes().count(b"\n") for path in tmp_path.iterdir()) == 10


def test_kill_9_loses_nothing_durable(server, run_python, tmp_path):
    """Every event whose call returned survives kill -9, and the next process delivers it."""
    server.is_down = True
    process = run_python(
        CLIENT
        + """
    tl = client(spool=sys.argv[2], durable=True)
    while True:
        print(tl.thumb("a", "up", rater="u"), flush=True)
    """,
        server.url,
        tmp_path,
        wait=False,
    )
    told = [process.stdout.readline() for _ in range(500)]
    process.send_signal(signal.SIGKILL)
    rest, _ = process.communicate(timeout=5)
    told += [line for line in rest.splitlines(keepends=True) if line.endswith("\n")]
    server.is_down = False

    run_python(CLIENT + "    assert client(spool=sys.argv[2]).flush()", server.url, tmp_path)
    assert {line.strip() for line in told} <= set(server.stored)
    assert list(tmp_path.iterdir()) == []


def test_a_fork_waits_for_the_check_of_an_event(server, run_python):
    """Of the locks inside pydantic a child finds none locked by a thread that it does not have."""
    run_python(
        CLIENT
        + """
    import threading
    from thumbline import _encode

    class Slow:
        # pydantic's validator, behind a lock that survives a fork, as its own are for their first use
        lock, entered = threading.Lock(), threading.Event()
        whole = _encode.EVENT_ADAPTER
        def __getattr__(self, name):
            return getattr(self.whole, name)
        def validate_python(self, event):
            with self.lock:
                self.entered.set()
                time.sleep(0.3)
                return self.whole.validate_python(event)

    _encode.EVENT_ADAPTER = slow = Slow()
    tl = client()
    tl.thumb("parent", "up", rater="u")
    assert slow.entered.wait(5)
    pid = os.fork()
    if pid:
        deadline = time.monotonic() + 20
        while (done := os.waitpid(pid, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
            time.sleep(0.01)
        if done == (0, 0):
            os.kill(pid, 9)
        assert done == (pid, 0), "the child hangs"
    else:
        tl.thumb("child", "up", rater="u")
    """,
        server.url,
    )
    assert sorted(event["target_id"] for event in server.stored.values()) == ["child", "parent"]


def test_a_fork_does_not_wait_for_ever(run_python):
    """Where the other thread waits for something that the forking one holds, both go on after a second."""
    done = run_python(
        CLIENT
        + HOLD
        + """
    from thumbline._fork import in_one_piece
    let_go = hold(in_one_piece())
    pid = os.fork()
    if not pid:
        with in_one_piece():
            os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    let_go()
    with in_one_piece():
        print("both went on")
    """
    )
    assert done.stdout == "both went on\n"


def test_a_child_sends_its_own_and_the_parent_its_own(server, run_python):
    """Fork with events queued: the child's are sent by the child, the parent's once, by the parent."""
    run_python(
        CLIENT
        + """
    tl = client(flush_interval_s=30)
    for i in range(100):
        tl.thumb(f"parent-{i}", "up", rater="u")
    pid = os.fork()
    for i in range(100):
        tl.thumb(f"parent-late-{i}" if pid else f"child-{i}", "up", rater="u")
    if pid:
        assert os.waitpid(pid, 0)[1] == 0
    else:
        assert tl.stats().created == 100
    """,
        server.url,
    )

    targets = [event["target_id"] for event in server.stored.values()]
    assert 300 == len(targets) == len(set(targets))
    assert sum(target.startswith("child-") for target in targets) == 100
    assert len(server.received) == len(set(server.received))


def test_a_child_uses_a_connection_of_its_own(server, run_python):
    """On a connection shared with the parent, each could read the other's answers."""
    run_python(
        CLIENT
        + """
    tl = client(spool=None)
    tl.thumb("parent", "up", rater="u")
    assert tl.flush()
    pid = os.fork()
    if pid == 0:
        tl.thumb("child", "up", rater="u")
        os._exit(0 if tl.flush() else 1)
    assert os.waitpid(pid, 0)[1] == 0
    tl.thumb("parent again", "up", rater="u")
    assert tl.flush()
    """,
        server.url,
    )

    first, child, again = server.peers
    assert first == again != child


def test_a_fork_while_the_locks_are_held_does_not_hang(server, run_python):
    """Another thread may be in the middle of anything at a fork."""
    run_python(
        CLIENT
        + HOLD
        + """
    tl = client(spool=None)
    tl.thumb("parent", "up", rater="u")
    let_go = hold(tl._pipeline._buffer.lock, tl._pipeline._sender._start_lock)
    pid = os.fork()
    if pid == 0:
        for i in range(100):
            tl.thumb(f"child-{i}", "up", rater="u")
        os._exit(0 if tl.flush(5) else 1)
    status = os.waitpid(pid, 0)[1]
    let_go()
    assert status == 0
    """,
        server.url,
    )

    assert len(server.stored) == 101


def test_a_fork_while_the_spool_is_held_does_not_hang(server, run_python, tmp_path):
    """The child writes segments of its own, and the parent's stay locked and the parent's."""
    server.is_down = True
    run_python(
        CLIENT
        + HOLD
        + """
    tl = client(spool=sys.argv[2], durable=True, exit_timeout_s=0.2)
    tl.thumb("parent", "up", rater="u")
    let_go = hold(tl._pipeline._spool._lock)
    pid = os.fork()
    if pid == 0:
        tl.thumb("child", "up", rater="u")
        tl.close(0.1)
        assert tl.stats().spooled == 1
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    let_go()
    """,
        server.url,
        tmp_path,
        quiet=False,
    )
    server.is_down = False

    run_python(CLIENT + "    assert client(spool=sys.argv[2]).flush()", server.url, tmp_path)
    assert {"parent", "child"} == {event["target_id"] for event in server.stored.values()}
    assert len(server.stored) == 2


def test_children_of_multiprocessing_deliver(server, run_python, tmp_path):
    """They end without atexit, and deliver all the same."""
    run_python(
        CLIENT
        + """
    import multiprocessing
    def work(i):
        tl.thumb(f"child-{i}", "up", rater="u")
    tl = client(flush_interval_s=30)
    tl.thumb("parent", "up", rater="u")
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=work, args=(i,)) for i in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join()
        assert child.exitcode == 0
    """,
        server.url,
    )

    assert len(server.stored) == 4


def test_children_mint_other_ids(run_python):
    """Ids stay unique across a fork, and where the host seeds `random` alike everywhere."""
    done = run_python("""
    import os, random
    from thumbline._ids import uuid7
    uuid7()
    random.seed(7)
    pid = os.fork()
    os.write(1, f"{uuid7(0)}\\n".encode())  # one write: `print` of two processes may mix
    if pid:
        os.waitpid(pid, 0)
    else:
        os._exit(0)
    random.seed(7)
    print(uuid7(0))
    """)

    assert len(set(done.stdout.split())) == 3


def test_the_senders_thread_imports_nothing(server, run_python, tmp_path):
    """A fork in the middle of an import would leave half a module behind in the child."""
    done = run_python(
        CLIENT
        + """
    tl = client(spool=sys.argv[2])
    before = set(sys.modules)
    tl.thumb("a", "up", rater="u")
    answer = tl.completion(messages=[{"role": "user", "content": "x"}], response="y", model="m")
    assert tl.flush()
    print(set(sys.modules) - before)
    """,
        server.url,
        tmp_path,
    )

    assert done.stdout.strip() == "set()"


def test_import_is_light_and_quiet(run_python):
    """Importing brings nothing but the standard library, and no warning."""
    done = run_python("""
    import sys, thumbline
    print(sorted({name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)
                 - {"thumbline", "__main__", "sitecustomize", "_distutils_hack"}))
    print([name for name in ("asyncio", "http.client", "uuid", "ssl", "email") if name in sys.modules])
    """)

    assert done.stdout.splitlines() == ["[]", "[]"]
