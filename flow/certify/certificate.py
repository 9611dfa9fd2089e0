"""Certificates: what was claimed about which image of which graph, and the files that hold them."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from flow.atomic import write_atomic
from flow.certify.proof import RivalProof, read_steps, write_steps
from flow.errors import InputError
from flow.ir import Array, Fault, Kind

FORMAT = 2


class Property(StrEnum):
    """What is claimed of an image."""

    INPUT = "input"  # every input within the radius, inside the declared range, has the label
    PIXEL = "pixel"  # so has every input that differs in one element by at most the radius
    BITS = "bits"  # the image keeps its label under every flip of stored bits that is allowed
    WEIGHTS = "weights"  # so it does under every move of the weights by at most an amount
    SMOOTHING = "smoothing"  # the smoothed classifier keeps its label within a radius


class Verdict(StrEnum):
    """PROVED is sound; REFUTED carries a witness that anyone can run; UNKNOWN claims nothing.

    STATISTICAL holds but for a chance of at most the ``alpha`` among the terms of the file.
    """

    PROVED = "PROVED"
    REFUTED = "REFUTED"
    UNKNOWN = "UNKNOWN"
    STATISTICAL = "STATISTICAL"


class Evidence(StrEnum):
    """How the claim can be checked: by an independent re-run, or by trust in a solver."""

    REPLAYABLE = "replayable"
    SOLVER = "solver"


@dataclass(frozen=True, slots=True)
class Certificate:
    """One image's verdict about its ``label``.

    ``correct`` says whether the clean image has the label at all: where it has not, the verdict is
    REFUTED by the image itself and nothing is certified. ``radius`` is in input units for INPUT
    and the number of flips for BITS. The witness is an input (flat), a fault or
    ``faults`` that strike together. ``proof`` holds a tree against every rival where intervals of
    the whole box do not suffice. ``detail`` is what else was found about the image, as JSON.
    """

    graph_digest: str
    input_digest: str
    label: int
    correct: bool
    claim: Property
    radius: int
    method: str
    verdict: Verdict
    evidence: Evidence = Evidence.REPLAYABLE
    witness: tuple[int, ...] | None = None
    fault: Fault | None = None
    proof: tuple[RivalProof, ...] | None = None
    faults: tuple[Fault, ...] = ()
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CertificateSet:
    """The certificates of one run, one per image in order, and how it was made.

    ``enumeration`` is the SHA-256 over every flip's effect where the method enumerates flips;
    ``terms`` completes the claim (which bits, which elements, how likely), as JSON.
    """

    graph_digest: str
    claim: Property
    radius: int
    method: str
    certificates: tuple[Certificate, ...]
    enumeration: str | None = None
    terms: Mapping[str, Any] = field(default_factory=dict)

    @property
    def proved(self) -> int:
        """Images certified."""
        return sum(c.verdict is Verdict.PROVED for c in self.certificates)

    def summary(self) -> dict[str, int]:
        """Counts of images: total, correct, misclassified, and of the correct each verdict."""
        verdicts = Counter(c.verdict for c in self.certificates if c.correct)
        counts = {
            "total": len(self.certificates),
            "correct": sum(c.correct for c in self.certificates),
            "misclassified": sum(not c.correct for c in self.certificates),
            "proved": verdicts[Verdict.PROVED],
            "refuted": verdicts[Verdict.REFUTED],
            "unknown": verdicts[Verdict.UNKNOWN],
        }
        by_solver = sum(c.evidence is Evidence.SOLVER for c in self.certificates)
        if by_solver:
            counts["by_solver"] = by_solver
        if self.claim is Property.SMOOTHING:
            counts["statistical"] = verdicts[Verdict.STATISTICAL]
        return counts


def input_digest(image: Array) -> str:
    """SHA-256 of an image's integers, int64 little-endian, in C order."""
    return hashlib.sha256(np.ascontiguousarray(image, dtype="<i8").tobytes()).hexdigest()


def save_certificates(found: CertificateSet, path: Path) -> None:
    """Write ``path`` atomically as JSON; ``content`` is the SHA-256 of everything else in it."""
    record = {
        "format": FORMAT,
        "graph": found.graph_digest,
        "property": found.claim,
        "radius": found.radius,
        "method": found.method,
        "terms": dict(found.terms),
        "enumeration": found.enumeration,
        "summary": found.summary(),
        "certificates": [_entry(c) for c in found.certificates],
    }
    record["content"] = content_digest(record)
    write_atomic(path, json.dumps(record, indent=1) + "\n")


def load_certificates(path: Path) -> CertificateSet:
    """Read a file of :func:`save_certificates`; that its claims hold is for ``check`` to say.

    Raises:
        InputError: the file is missing, damaged, of another format or contradicts itself.
    """
    try:
        record = json.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; make it with `bitproof certify`") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: not a certificate file ({error}); certify again") from None
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise InputError(f"{path}: not a certificate file of format {FORMAT}; certify again")
    if record.pop("content", None) != content_digest(record):
        raise InputError(f"{path}: damaged (SHA-256 differs); certify again")
    try:
        found = CertificateSet(
            graph_digest=record["graph"],
            claim=Property(record["property"]),
            radius=int(record["radius"]),
            method=record["method"],
            certificates=tuple(_certificate(record, entry) for entry in record["certificates"]),
            enumeration=record["enumeration"],
            terms=record["terms"],
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: damaged ({error!r}); certify again") from None
    if record.get("summary") != found.summary():
        raise InputError(f"{path}: its summary is not that of its certificates; certify again")
    return found


def content_digest(record: Mapping[str, Any]) -> str:
    """SHA-256 of a record's canonical JSON."""
    text = json.dumps(record, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _entry(certificate: Certificate) -> dict[str, Any]:
    """What one image adds to what the whole file says."""
    entry: dict[str, Any] = {
        "input": certificate.input_digest,
        "label": certificate.label,
        "correct": certificate.correct,
        "verdict": certificate.verdict,
        "evidence": certificate.evidence,
        "witness": None if certificate.witness is None else list(certificate.witness),
        "fault": None if certificate.fault is None else asdict(certificate.fault),
        **_proof_entry(certificate),
    }
    if certificate.detail:
        entry["detail"] = dict(certificate.detail)
    if certificate.faults:
        entry["faults"] = [asdict(fault) for fault in certificate.faults]
    return entry


def _proof_entry(certificate: Certificate) -> dict[str, Any]:
    if certificate.proof is None:
        return {}
    return {"proof": [{"rival": t.rival, "steps": write_steps(t.steps)} for t in certificate.proof]}


def _proof(entry: Mapping[str, Any]) -> tuple[RivalProof, ...] | None:
    if "proof" not in entry:
        return None
    return tuple(RivalProof(int(t["rival"]), read_steps(t["steps"])) for t in entry["proof"])


def _certificate(record: Mapping[str, Any], entry: Mapping[str, Any]) -> Certificate:
    witness, fault = entry["witness"], entry["fault"]
    if type(entry["correct"]) is not bool:
        raise TypeError("`correct` is true or false")
    return Certificate(
        graph_digest=record["graph"],
        input_digest=entry["input"],
        label=int(entry["label"]),
        correct=entry["correct"],
        claim=Property(record["property"]),
        radius=int(record["radius"]),
        method=record["method"],
        verdict=Verdict(entry["verdict"]),
        evidence=Evidence(entry["evidence"]),
        witness=None if witness is None else tuple(int(v) for v in witness),
        fault=None if fault is None else _fault(fault),
        faults=tuple(map(_fault, entry.get("faults", ()))),
        proof=_proof(entry),
        detail=entry.get("detail", {}),
    )


def _fault(record: Mapping[str, Any]) -> Fault:
    return Fault(
        record["node"],
        record["parameter"],
        tuple(int(i) for i in record["index"]),
        int(record["bit"]),
        Kind(record["kind"]),
    )
