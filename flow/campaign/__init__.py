"""Fault campaigns: the same faults in every engine, compared pair by pair, kept and counted."""

from flow.campaign.faultlist import FaultList, load_faults, save_faults
from flow.campaign.outcome import Answers, Direction, Outcome, classify
from flow.campaign.recipe import Engine, Recipe, load_recipe
from flow.campaign.replay import Replay, replay
from flow.campaign.run import CampaignRecord, OtherCampaignError, clear, run_campaign
from flow.campaign.sample import Stratum, sample_faults, sample_size, strata
from flow.campaign.show import By, Share, critical_share, direction_counts, outcome_counts, shares
from flow.campaign.summary import summary

__all__ = [
    "Answers",
    "By",
    "CampaignRecord",
    "Direction",
    "Engine",
    "FaultList",
    "OtherCampaignError",
    "Outcome",
    "Recipe",
    "Replay",
    "Share",
    "Stratum",
    "classify",
    "clear",
    "critical_share",
    "direction_counts",
    "load_faults",
    "load_recipe",
    "outcome_counts",
    "replay",
    "run_campaign",
    "sample_faults",
    "sample_size",
    "save_faults",
    "shares",
    "strata",
    "summary",
]
