"""Campaigns of register upsets in RTL: one flip-flop, one cycle, one run of images each."""

from flow.campaign.upsets.recipe import UpsetRecipe
from flow.campaign.upsets.run import run_upsets
from flow.campaign.upsets.show import UpsetsBy, UpsetShare, upset_rows, upset_shares, upset_summary

__all__ = [
    "UpsetRecipe",
    "UpsetShare",
    "UpsetsBy",
    "run_upsets",
    "upset_rows",
    "upset_shares",
    "upset_summary",
]
