"""The Prometheus texts of several processes as one."""

from collections.abc import Iterable


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
