"""Fault campaigns, as JSON records."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from flow.campaign import OtherCampaignError, clear, run_campaign, summary
from flow.campaign import Recipe as Campaign
from flow.stages import Images, Progress, Record


def campaign(
    recipe: Campaign,
    data: Images,
    *,
    out: Path,
    cache: Path,
    resume: bool = True,
    replace: bool = False,
    progress: Progress | None = None,
) -> Record:
    """Run or resume a campaign; every pair agreed, or this raised ``ClaimError``.

    With ``replace`` a folder that holds another campaign is emptied first, not refused.
    """
    run_recipe = partial(
        run_campaign,
        recipe,
        (data.x, data.y),
        out=out,
        cache=cache,
        progress=progress,
    )
    try:
        run_recipe(resume=resume)
    except OtherCampaignError:
        if not replace:
            raise
        clear(out)
        run_recipe(resume=True)
    return summary(out)
