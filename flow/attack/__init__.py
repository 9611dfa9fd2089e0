"""Attacks on stored bits and on inputs, judged on the integers the hardware computes."""

from flow.attack.baselines import best_flip, exhaustive_best_flip, random_flips
from flow.attack.bfa import bfa
from flow.attack.dnl import dnl
from flow.attack.loss import CrossEntropy, Towards, logit_temperature
from flow.attack.pgd import Descent, pgd
from flow.attack.result import AttackResult, Step, Stop
from flow.attack.tbfa import tbfa

__all__ = [
    "AttackResult",
    "CrossEntropy",
    "Descent",
    "Step",
    "Stop",
    "Towards",
    "best_flip",
    "bfa",
    "dnl",
    "exhaustive_best_flip",
    "logit_temperature",
    "pgd",
    "random_flips",
    "tbfa",
]
