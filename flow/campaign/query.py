"""Any question to the results of a campaign, in SQL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

from flow.campaign.show import fetched, results_database
from flow.campaign.upsets.show import is_upset_campaign, upsets_database
from flow.errors import InputError


def query(directory: Path, sql: str) -> list[dict[str, Any]]:
    """The rows that ``sql`` (DuckDB's) gives, over views of the completed units.

    Faults of stored bits: ``results`` (one row per pair), ``faults`` (one per fault) and ``bits``
    (one per struck bit). Register upsets: ``results`` and ``drawn`` (one row per upset each).

    Raises:
        InputError: ``directory`` holds no campaign or no completed unit, or DuckDB refuses ``sql``.
    """
    opened = upsets_database if is_upset_campaign(directory) else results_database
    with opened(directory) as database:
        try:
            return fetched(database.execute(sql))
        except duckdb.Error as error:
            reason = str(error).partition("\n")[0]
            raise InputError(f"query: {reason}; docs/campaign.md lists the views") from None
