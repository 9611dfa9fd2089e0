"""Certificates of the single-flip property, by enumeration."""

from __future__ import annotations

from flow.certify.certificate import (
    Certificate,
    CertificateSet,
    Property,
    Verdict,
    input_digest,
)
from flow.certify.flips import SingleFlips
from flow.ir import Array, Fault

METHOD = "enumeration"


def certify_bits(flips: SingleFlips, x: Array, *, y: Array) -> CertificateSet:
    """Per image PROVED, or REFUTED with the worst flip; exact, so never UNKNOWN.

    Args:
        flips: what ``single_flips`` found for the same images ``x`` and labels ``y``.
    """
    certified = flips.certified

    def fault(k: int) -> Fault | None:
        broken = flips.correct[k] and not certified[k]
        return flips.bits.fault(int(flips.worst_fault[k])) if broken else None

    certificates = tuple(
        Certificate(
            flips.graph_digest,
            input_digest(x[k]),
            int(y[k]),
            bool(flips.correct[k]),
            Property.BITS,
            1,
            METHOD,
            Verdict.PROVED if certified[k] else Verdict.REFUTED,
            fault=fault(k),
        )
        for k in range(len(x))
    )
    return CertificateSet(
        flips.graph_digest, Property.BITS, 1, METHOD, certificates, flips.enumeration()
    )
