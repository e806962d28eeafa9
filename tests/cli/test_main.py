"""The command as a shell has it: its exit code, and never a traceback, whatever becomes of the streams around it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from host_agents.cli.main import main

ENTOURAGE = (sys.executable, "-m", "host_agents.cli.main")
# A registration request, with a sub-NAI for which ASCII has no letters
MESSAGE = "01 00 02 58 00000000 c0000201 cb007102 ee0000000000000000 83 06 6140622e6e6c ff 07 01 4b c3a4 746865"


def entourage(*words: str, **given: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*ENTOURAGE, *words], text=True, stderr=-1, timeout=60, **given)  # type: ignore[call-overload,no-any-return]


def test_it_says_which_version_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])

    assert ended.value.code == 0
    assert capsys.readouterr().out == f"entourage {version('entourage')}\n"


def test_ctrl_c_is_130_and_no_traceback(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "node.json")
    asking = subprocess.Popen([*ENTOURAGE, "node", "status", "--config", str(tmp_path / "node.json")], stderr=-1)
    with open(tmp_path / "node.json", "w"):  # which waits until it reads there
        asking.send_signal(signal.SIGINT)

        assert asking.communicate(timeout=30)[1] == b""
    assert asking.returncode == 130


def test_a_reader_that_has_gone_is_told_nothing() -> None:
    read, write = os.pipe()
    os.close(read)

    ended = entourage("decode", MESSAGE, stdout=write)

    os.close(write)
    assert (ended.returncode, ended.stderr) == (1, "")


def test_what_could_not_be_written_is_a_failure() -> None:
    with open("/dev/full", "w") as full:
        ended = entourage("decode", MESSAGE, stdout=full)

    assert ended.stderr == "entourage: [Errno 28] No space left on device\n"
    assert ended.returncode == 1


def test_files_are_utf_8_whatever_the_locale_says(tmp_path: Path) -> None:
    """Else a name of one letter would be another's of two, or none."""
    path = tmp_path / "node.json"
    path.write_text(
        '{"nai": "käthe@example.net", "spi": 256, "key": "text:k\\u00e4se", "control": "käthe.sock"}', "utf-8"
    )
    old = {**os.environ, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}

    ended = entourage("decode", MESSAGE, "--keys", str(path), stdout=-1, env=old)

    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give itself less than it has")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("ha backup {}/copy --config {}/ha.toml", "{}/ha.toml: Permission denied"),
        ("decode {}/ha.pcap", "decode: {}/ha.pcap: Permission denied"),
        ("trial merge {0}/a {0}/b", "{}/b: Permission denied"),
        ("board flash {}/image.bin", "{}/image.bin: Permission denied"),
    ],
)
def test_a_folder_that_we_may_not_look_into_is_one_line(tmp_path: Path, words: str, said: str) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir(0o700)
    os.chown(folder, 1234, 1234)
    stranger = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *ENTOURAGE]  # a root that may not do everything

    argv = [*stranger, *words.format(folder, folder).split()]
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=60)

    assert (ended.returncode in (1, 2), ended.stdout) == (True, "")
    assert ended.stderr.endswith(said.format(folder) + "\n") and ended.stderr.count("\n") == 1


def test_a_terminal_without_a_character_shows_a_question_mark() -> None:
    ended = entourage("decode", MESSAGE, stdout=-1, env={**os.environ, "PYTHONIOENCODING": "ascii"})

    assert (ended.returncode, ended.stderr) == (0, "")
    assert "K?the" in ended.stdout


def test_streams_that_are_closed_are_no_files_of_ours(tmp_path: Path) -> None:
    """The numbers of standard streams go to what is opened first, which is not to get what we say."""
    shown = "import host_agents.cli.main as it, os; it.main(['decode', '%s']); print(os.readlink('/proc/self/fd/2'))"
    closed = ["sh", "-c", 'exec "$@" 2>&- <&-', "sh", sys.executable, "-c", shown % MESSAGE]

    ended = subprocess.run(closed, stdout=subprocess.PIPE, text=True, timeout=60)

    assert ended.returncode == 0
    assert ended.stdout.endswith("/dev/null\n")


def test_a_socket_of_too_long_a_name_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ha", "show", "status", "--control", str(tmp_path / ("x" * 100))]) == 1
    assert "no answer from the daemon: AF_UNIX path too long" in capsys.readouterr().err
