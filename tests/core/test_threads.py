"""What several threads read at once, in a process of its own each: the first values of a type, all at the same moment."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys, threading
{imports}
read = lambda: {expression}
sys.setswitchinterval(1e-6)
together = threading.Barrier(8)
found = []
def one():
    together.wait()
    found.append(read())
threads = [threading.Thread(target=one) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert len(found) == 8 and all(value == found[0] for value in found)
"""
DOCUMENT = '{"service": "chat", "arms": [{"name": "a"}], "trial": {"steps": [10, 100]}, "budget": {"day_usd": 5}}'
READ = {
    "document": ("from app.core.document import from_json", f"from_json('{DOCUMENT}')"),
    "configure": (
        "from app.core.commands import parse",
        f"""parse(b'{{"service": "chat", "command": "configure", "args": {{"document": {DOCUMENT}}}}}')""",
    ),
    "policy answer": (
        "from app.core.commands import parse",
        """parse(b'{"service": "chat", "command": "policy-answer", "args":
           {"decision_id": "d", "approved": false, "violations": [{"policy_id": "p"}]}}')""".replace("\n", ""),
    ),
    "inputs": (
        "from app.core.inputs import read_inputs",
        """read_inputs({'inputs': {'now_s': 1, 'trigger': 'time', 'incumbent': 'a', 'document': {'service': 'chat'}}})""",
    ),
}


@pytest.mark.parametrize("what", READ)
def test_eight_threads_read_their_first_value_together(what: str) -> None:
    imports, expression = READ[what]
    for _ in range(3):  # unresolved, a document crashes four times of five
        program = PROGRAM.format(imports=imports, expression=expression)
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
