"""The stages that make evidence: certificates, attacks and campaigns, as JSON records."""

from flow.evidence.attacks import attack, attack_inputs
from flow.evidence.bits import certify_bits
from flow.evidence.campaigns import campaign
from flow.evidence.confirmation import confirm
from flow.evidence.inputs import certify_inputs, certify_pixel
from flow.evidence.protection import SHARES, protect
from flow.evidence.smoothing import certify_smoothing
from flow.evidence.weights import certify_weights

__all__ = [
    "SHARES",
    "attack",
    "attack_inputs",
    "campaign",
    "certify_bits",
    "certify_inputs",
    "certify_pixel",
    "certify_smoothing",
    "certify_weights",
    "confirm",
    "protect",
]
