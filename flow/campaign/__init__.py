"""Fault campaigns: the same faults in every engine, compared pair by pair, kept and counted."""

from flow.campaign.draw import draw_faults
from flow.campaign.faultfile import load_faults, save_faults
from flow.campaign.faultlist import FaultList, Strike
from flow.campaign.faultmodel import Burst, FaultModel, Multiple, Rates, Single, Stuck
from flow.campaign.outcome import Answers, Direction, Outcome, classify
from flow.campaign.query import query
from flow.campaign.recipe import Engine, Recipe, load_recipe
from flow.campaign.replay import Replay, replay
from flow.campaign.run import CampaignRecord, OtherCampaignError, clear, run_campaign
from flow.campaign.sample import Stratum, sample_size, strata
from flow.campaign.show import By, Share, critical_share, direction_counts, outcome_counts, shares
from flow.campaign.summary import summary

__all__ = [
    "Answers",
    "Burst",
    "By",
    "CampaignRecord",
    "Direction",
    "Engine",
    "FaultList",
    "FaultModel",
    "Multiple",
    "OtherCampaignError",
    "Outcome",
    "Rates",
    "Recipe",
    "Replay",
    "Share",
    "Single",
    "Stratum",
    "Strike",
    "Stuck",
    "classify",
    "clear",
    "critical_share",
    "direction_counts",
    "draw_faults",
    "load_faults",
    "load_recipe",
    "outcome_counts",
    "query",
    "replay",
    "run_campaign",
    "sample_size",
    "save_faults",
    "shares",
    "strata",
    "summary",
]
