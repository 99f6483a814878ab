"""The stubs are those of the protos."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("protos", ROOT / "deploy" / "protos.py")
assert spec is not None and spec.loader is not None
protos = importlib.util.module_from_spec(spec)
spec.loader.exec_module(protos)


def test_the_stubs_that_are_checked_in_are_those_of_the_protos(tmp_path):
    made = {path.name: path.read_text() for path in protos.generate(tmp_path)}
    kept = {path.name: path.read_text() for path in protos.STUBS.glob("*_pb2*.py*")}
    assert sorted(made) == sorted(kept), "run `make protos`"
    assert [name for name in made if made[name] != kept[name]] == [], "run `make protos`"


def test_every_proto_has_stubs():
    assert {path.stem for path in protos.PROTOS.glob("*.proto")} == {
        path.name.removesuffix("_pb2.py") for path in protos.STUBS.glob("*_pb2.py")
    }
