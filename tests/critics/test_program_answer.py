import os
from pathlib import Path

import pytest

from critics.program_answer import Computed, compute


def run(*programs: str) -> list[Computed]:
    return list(compute(programs, workers=4, timeout_s=10, memory_mb=512))


def test_what_a_program_computes_is_its_answer() -> None:
    assert run(
        "eggs = 16\n# how many are left?\nanswer = (eggs - 7) * 2",
        "Let us see.\n```python\nprint('so')\nprint(3 * 4)\n```\nThat is it.",
        "answer = 0.1 + 0.2",
        "answer = 2.9999999999999996",
        "import math\nanswer = math.sqrt(16)",
        "answer = None",
        "x = 5",
        "answer = 5 apples",
        "answer = nobody",
    ) == [
        *map(Computed, ("18", "12", "0.3", "3", "4", "None")),
        Computed(None, "no_answer"),
        Computed(None, "program_failed"),
        Computed(None, "program_failed"),
    ]


def test_programs_that_hang_or_grow_are_ended_and_the_next_one_runs() -> None:
    programs = ["while True: pass", "answer = 'x' * (1 << 40)", "answer = 9 ** 9 ** 9 ** 9", "answer = 1"]
    reasons = [found.reason for found in compute(programs, workers=2, timeout_s=1.5, memory_mb=512)]
    assert reasons == ["timeout", "crashed", "timeout", None]


@pytest.mark.parametrize(
    "program",
    [
        "open({path!r}, 'w').write('x')",
        "import os\nos.system('touch {path}')",
        "import os\nos.fork()",
        "import subprocess\nsubprocess.run(['touch', {path!r}])",
        "import socket\nsocket.create_connection(('127.0.0.1', 9))",
        "import ctypes\nctypes.CDLL(None)",
        "import sys\nsys.__stdout__.write('{}')",
        "import sys\nsys.modules['os']._exit(0)",
        "open('/etc/passwd').read()",
    ],
)
def test_programs_reach_nothing_outside(program: str, tmp_path: Path) -> None:
    path = tmp_path / "written"
    (found,) = run(program.replace("{path!r}", repr(str(path))).replace("{path}", str(path)) + "\nanswer = 1")
    assert found == Computed(None, "program_failed")
    assert not path.exists()


def test_the_environment_is_not_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "secret")
    (found,) = run("import sys\nanswer = 'secret' in str(sys.modules['os'].environ)")
    assert found == Computed("False")
    assert os.environ["SOME_API_KEY"] == "secret"
