"""What `bitproof campaign` does where registers are struck instead of stored bits."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from flow.cli.common import images_of, signed
from flow.console import emit, print_rows, progress


def run_upset_campaign(
    recipe: Path, out: Path, cache: Path, as_json: bool, *, resume: bool, replace: bool
) -> None:
    """Run or resume the campaign of the file ``recipe`` in ``out``, and show it."""
    from flow.campaign import OtherCampaignError, clear
    from flow.campaign.recipe import read_recipe
    from flow.campaign.upsets import UpsetRecipe, run_upsets

    loaded = read_recipe(recipe, UpsetRecipe)
    images = images_of(loaded.data, None)
    with progress(f"campaign {loaded.name}") as step:
        go = partial(run_upsets, loaded, (images.x, images.y), out=out, cache=cache, progress=step)
        try:
            go(resume=resume)
        except OtherCampaignError:
            if not replace:
                raise
            clear(out)
            go(resume=True)
    show_upset_campaign(out, as_json)


def show_upset_campaign(directory: Path, as_json: bool) -> None:
    """The record of a finished campaign, then its tables by unit, register and cycle."""
    from flow.campaign.upsets import UpsetsBy, upset_rows, upset_shares, upset_summary

    summary = upset_summary(directory)
    if as_json:
        emit(signed(summary), as_json=True)
        return
    emit({k: v for k, v in signed(summary).items() if not k.startswith("by_")}, as_json=False)
    for by in UpsetsBy:
        print_rows(upset_rows(upset_shares(directory, by)))


def list_registers(build: Path, as_json: bool) -> None:
    """Flip-flops of the build directory, copies of one register together."""
    from collections import Counter

    from flow.build import load_build
    from sim.registers import registers

    found = registers(load_build(build))
    copies = Counter(register.group for register in found)
    bits = Counter[str]()
    for register in found:
        bits[register.group] += register.bits
    rows = [
        {"register": group, "copies": copies[group], "flip_flops": bits[group]} for group in copies
    ]
    if as_json:
        emit(signed({"flip_flops": bits.total(), "registers": rows}), as_json=True)
        return
    print_rows(rows)
    emit({"flip_flops": bits.total(), "registers": len(found)}, as_json=False)
