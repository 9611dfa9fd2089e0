"""What is true of a graph: bounds, exact enumerations, certificates and their checker."""

from flow.certify.accumulators import Reached, accumulator_ranges
from flow.certify.bits import certify_bits, certify_bursts
from flow.certify.box import Box, input_box, propagate, propagate_box
from flow.certify.bursts import Bursts
from flow.certify.certificate import (
    Certificate,
    CertificateSet,
    Evidence,
    Property,
    Verdict,
    load_certificates,
    save_certificates,
)
from flow.certify.check import check
from flow.certify.complete import (
    Budget,
    certify_complete,
    certify_linear,
    certify_zonotope,
)
from flow.certify.effect import Effect
from flow.certify.flip_attack import fewest_flips, worst_sets
from flow.certify.flip_files import (
    burst_flips_in_parts,
    single_flips_in_parts,
    write_burst_table,
    write_flip_table,
)
from flow.certify.flips import Flips, SingleFlips, burst_flips, single_flips
from flow.certify.input import certify_input
from flow.certify.k_flips import KFlips, certify_k_flips, k_flips, largest_k, with_fewer
from flow.certify.pixel import certify_pixel
from flow.certify.smoothing import Smoothing, certify_smoothing
from flow.certify.stored_bits import StoredBits
from flow.certify.subject import Checked, Part
from flow.certify.subset import BitSubset, one_layer_each
from flow.certify.weights import certify_weights
from flow.certify.witness import Effort

__all__ = [
    "BitSubset",
    "Box",
    "Budget",
    "Bursts",
    "Certificate",
    "CertificateSet",
    "Checked",
    "Effect",
    "Effort",
    "Evidence",
    "Flips",
    "KFlips",
    "Part",
    "Property",
    "Reached",
    "SingleFlips",
    "Smoothing",
    "StoredBits",
    "Verdict",
    "accumulator_ranges",
    "burst_flips",
    "burst_flips_in_parts",
    "certify_bits",
    "certify_bursts",
    "certify_complete",
    "certify_input",
    "certify_k_flips",
    "certify_linear",
    "certify_pixel",
    "certify_smoothing",
    "certify_weights",
    "certify_zonotope",
    "check",
    "fewest_flips",
    "input_box",
    "k_flips",
    "largest_k",
    "load_certificates",
    "one_layer_each",
    "propagate",
    "propagate_box",
    "save_certificates",
    "single_flips",
    "single_flips_in_parts",
    "with_fewer",
    "worst_sets",
    "write_burst_table",
    "write_flip_table",
]
