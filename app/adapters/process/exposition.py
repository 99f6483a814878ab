"""Counters as Prometheus text, and the texts of several processes as one."""

from collections.abc import Iterable, Mapping

PREFIX = "llm_optimizer_"


class Family:
    """One metric: its name without prefix, its type, what it says, and its samples by label set."""

    def __init__(self, name: str, kind: str, says: str) -> None:
        self.name, self.kind, self.says = PREFIX + name, kind, says
        self.samples: list[tuple[Mapping[str, str], float]] = []

    def add(self, value: float, **labels: str) -> "Family":
        """Add a sample; returns the family, for chaining."""
        self.samples.append((labels, value))
        return self


def exposition(families: Iterable[Family]) -> str:
    """The Prometheus text format, version 0.0.4."""
    lines: list[str] = []
    for family in families:
        lines += (f"# HELP {family.name} {family.says}", f"# TYPE {family.name} {family.kind}")
        lines += (f"{family.name}{_labels(labels)} {value:.17g}" for labels, value in family.samples)
    return "\n".join(lines) + "\n"


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    inner = ",".join(f'{name}="{_escaped(value)}"' for name, value in sorted(labels.items()))
    return "{" + inner + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def join(texts: Iterable[str]) -> str:
    """Several expositions as one: each family's HELP and TYPE once, its samples together."""
    heads: dict[str, list[str]] = {}
    samples: dict[str, list[str]] = {}
    for text in texts:
        family = ""
        for line in filter(None, text.splitlines()):
            if line.startswith("#"):
                family = line.split(" ", 3)[2]
                if line not in (known := heads.setdefault(family, [])) and len(known) < 2:
                    known.append(line)
                samples.setdefault(family, [])
            else:
                samples.setdefault(family, []).append(line)
    lines = [line for family in samples for line in (*heads.get(family, ()), *samples[family])]
    return "\n".join(lines) + "\n" if lines else ""
