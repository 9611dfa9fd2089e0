"""Certificates of single flips and of bursts, by enumeration."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from flow.certify.bursts import Bursts
from flow.certify.certificate import (
    Certificate,
    CertificateSet,
    Property,
    Verdict,
    input_digest,
)
from flow.certify.flips import Bits, Flips, SingleFlips
from flow.certify.subset import EVERY_BIT, BitSubset
from flow.ir import Array

Images = NDArray[np.bool_]

METHOD = "enumeration"
_AT_ONCE = 1 << 13  # flips whose images are unpacked together


def certify_bits(
    flips: SingleFlips, x: Array, *, y: Array, subset: BitSubset = EVERY_BIT
) -> CertificateSet:
    """Per image PROVED, or REFUTED with the worst flip; exact, so never UNKNOWN.

    Args:
        flips: what ``single_flips`` found for the same images ``x`` and labels ``y``.
        subset: the bits that may flip; a witness is then the first of them that changes the class.
    """
    if subset == EVERY_BIT:
        terms, enumeration = {}, flips.enumeration()
        certified, worst = flips.certified, flips.worst_fault
    else:
        terms = {"subset": subset.terms()}
        certified, worst, enumeration = _within(flips, subset)

    def certificate(k: int) -> Certificate:
        """Of image ``k``: its worst flip where one breaks it."""
        broken = flips.correct[k] and not certified[k]
        fault = flips.bits.fault(int(worst[k])) if broken else None
        return replace(_certificate(flips, x, y, k, 1, certified[k]), fault=fault)

    return CertificateSet(
        flips.graph_digest,
        Property.BITS,
        1,
        METHOD,
        tuple(map(certificate, range(len(x)))),
        enumeration,
        terms,
    )


def certify_bursts(flips: Flips[Bursts], x: Array, *, y: Array) -> CertificateSet:
    """Per image PROVED, or REFUTED with the worst burst; exact, so never UNKNOWN.

    The radius of the certificates is how many bits a burst flips.

    Args:
        flips: what ``burst_flips`` found for the same images ``x`` and labels ``y``.
    """
    length = flips.bits.length

    def certificate(k: int) -> Certificate:
        """Of image ``k``: its worst burst where one breaks it."""
        broken = flips.correct[k] and not flips.certified[k]
        faults = flips.bits.faults(int(flips.worst_fault[k])) if broken else ()
        return replace(_certificate(flips, x, y, k, length, flips.certified[k]), faults=faults)

    return CertificateSet(
        flips.graph_digest,
        Property.BITS,
        length,
        METHOD,
        tuple(map(certificate, range(len(x)))),
        flips.enumeration(),
        flips.bits.terms(),
    )


def _certificate(
    flips: Flips[Bits], x: Array, y: Array, k: int, struck: int, certified: np.bool_
) -> Certificate:
    """Of image ``k``, which ``struck`` bits strike together; its witness is still to come."""
    return Certificate(
        flips.graph_digest,
        input_digest(x[k]),
        int(y[k]),
        bool(flips.correct[k]),
        Property.BITS,
        struck,
        METHOD,
        Verdict.PROVED if certified else Verdict.REFUTED,
    )


def _within(flips: SingleFlips, subset: BitSubset) -> tuple[Images, Array, str]:
    """Which images no flip of ``subset`` changes, the first that does, and the SHA-256 of all."""
    allowed = np.flatnonzero(subset.positions(flips.bits))
    images = len(flips.correct)
    totals, first = np.zeros(images, dtype=np.int64), np.full(images, -1)
    for start in range(0, len(allowed), _AT_ONCE):
        part = allowed[start : start + _AT_ONCE]
        changed = np.unpackbits(flips.critical[part], axis=1, count=images).astype(np.bool_)
        new = (totals == 0) & changed.any(axis=0)
        first[new] = part[changed.argmax(axis=0)[new]]
        totals += changed.sum(axis=0)
    total = hashlib.sha256(flips.graph_digest.encode())
    for seen in (flips.correct, flips.counts[allowed], flips.critical[allowed], totals):
        total.update(np.ascontiguousarray(seen).tobytes())
    return flips.correct & (totals == 0), first, total.hexdigest()
