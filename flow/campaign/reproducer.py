"""A broken claim as a small file: one graph, one strike or none, one image, what each side said."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from flow.atomic import write_json
from flow.errors import InputError
from flow.ir import Fault, Kind

FORMAT = 2


class Claim(StrEnum):
    """What turned out to be false."""

    ENGINES_AGREE = "engines agree"
    CERTIFICATE_HOLDS = "certificate holds"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one engine says about one image."""

    logits: tuple[int, ...]
    label: int  # the class it predicts, -1 where it hung

    def __str__(self) -> str:
        return "gives no answer" if self.label < 0 else f"says class {self.label}"


@dataclass(frozen=True, slots=True)
class Reproducer:
    """One counterexample; ``faults`` come together, none where the clean run is wrong already.

    ``graph`` or ``build`` say where the campaign found the network; digests say which one it was.
    """

    claim: Claim
    graph_digest: str
    plan_digest: str | None
    graph: str | None
    build: str | None
    faults: tuple[Fault, ...]
    image: tuple[int, ...]  # row-major integers of the input edge
    position: int  # of the image in its data set
    label: int  # true class
    answers: Mapping[str, Answer]  # by engine, in the order compared
    statement: str  # the claim in one line

    def __str__(self) -> str:
        said = ", ".join(f"{name} {answer}" for name, answer in self.answers.items())
        fault = " with ".join(map(str, self.faults)) or "no fault"
        return f"{self.statement}: {fault}, image {self.position}: {said}"


def save_reproducer(reproducer: Reproducer, path: Path) -> None:
    """Write ``path`` as readable JSON, atomically."""
    write_json(path, {"format": FORMAT} | asdict(reproducer))


def load_reproducer(path: Path) -> Reproducer:
    """Read a file written by :func:`save_reproducer`.

    Raises:
        InputError: the file is missing or is no reproducer.
    """
    try:
        record = json.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; a failed campaign names its reproducer") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: not a reproducer ({error}); give the campaign's file") from None
    if not isinstance(record, dict) or record.pop("format", None) != FORMAT:
        raise InputError(f"{path}: not a reproducer of format {FORMAT}; give the campaign's file")
    try:
        return _rebuild(record)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: damaged ({error!r}); run the campaign again") from None


def _rebuild(record: dict[str, Any]) -> Reproducer:
    faults = tuple(
        Fault(f["node"], f["parameter"], tuple(f["index"]), f["bit"], Kind(f["kind"]))
        for f in record["faults"]
    )
    answers = {
        name: Answer(tuple(answer["logits"]), answer["label"])
        for name, answer in record["answers"].items()
    }
    if not all(record[key] is None or type(record[key]) is str for key in ("graph", "build")):
        raise TypeError("`graph` and `build` are paths")
    image = tuple(int(value) for value in record["image"])
    changed = {
        "claim": Claim(record["claim"]),
        "faults": faults,
        "image": image,
        "answers": answers,
    }
    return Reproducer(**(record | changed))
