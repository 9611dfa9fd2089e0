"""One work unit: a few faults on all images in every engine, compared pair by pair."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from flow.build import Build, site_table
from flow.campaign.faultlist import FaultList, Strike
from flow.campaign.minimise import minimise
from flow.campaign.model import StruckModel, evaluate_faults
from flow.campaign.outcome import Answers, Struck, kinds_of
from flow.campaign.prepare import Campaign
from flow.campaign.recipe import Engine
from flow.campaign.reproducer import Answer, Claim, Reproducer
from flow.campaign.shards import Unit, UnitResult, unit_table
from flow.errors import ClaimError
from flow.graphfile import digest
from flow.ir import Array, Kind, as_flips


def execute(campaign: Campaign, unit: Unit, *, cache: Path) -> UnitResult | Reproducer:
    """Run ``unit`` in all engines of the campaign; a pair on which a claim fails is the answer.

    Claims: every engine gives identical logits and class, with and without the fault; the class
    changes on exactly the pairs that the single-flip analysis predicts, so never on a certified
    image.
    """
    strikes = campaign.strikes(unit)
    seconds: dict[str, float] = {}
    detected = None
    start = perf_counter()
    model = _model(campaign)
    clean, faulty = model.clean, model.struck(strikes)
    seconds[Engine.MODEL] = perf_counter() - start
    if Engine.RTL in campaign.recipe.engines:
        assert campaign.build is not None, "the recipe demands a build for RTL"
        start = perf_counter()
        rtl = run_rtl(campaign.build, campaign.x, tuple(strikes), cache=cache)
        seconds[Engine.RTL] = perf_counter() - start
        both = Answers(
            np.concatenate([clean.logits[None], faulty.logits]),
            np.concatenate([clean.classes[None], faulty.classes]),
        )
        wrong = (both.classes != rtl.classes) | (both.logits != rtl.logits).any(axis=-1)
        if wrong.any():
            return _disagreement(campaign, strikes, wrong, model=both, rtl=rtl, cache=cache)
        if rtl.detected is not None:
            if rtl.detected[0].any():
                raise ClaimError(
                    f"{campaign.build.directory}: an error is reported without a fault"
                )
            detected = rtl.detected[1:]
    broken = _broken_prediction(campaign, unit, strikes, clean=clean, faulty=faulty)
    if broken is not None:
        return broken
    kinds = kinds_of(clean, faulty.classes, faulty.differs, campaign.labels, detected=detected)
    table = unit_table(
        unit, campaign.images, campaign.labels, clean=clean, classes=faulty.classes, kinds=kinds
    )
    return UnitResult(unit, table, faulty.digest(), seconds)


class _Kept(threading.local):
    """The model of the last campaign that this thread worked for."""

    key: str | None = None
    model: StruckModel


_kept = _Kept()


def _model(campaign: Campaign) -> StruckModel:
    if _kept.key != campaign.key:
        _kept.key, _kept.model = None, StruckModel(campaign.graph, campaign.x)
        _kept.key = campaign.key
    return _kept.model


def run_rtl(build: Build, x: Array, strikes: Sequence[Strike], *, cache: Path) -> Answers:
    """The RTL of ``build`` unstruck, then with each strike alone: (1 + strikes, images, ...).

    A result that never came has class and logits -1. Detection is told where the build has parity.
    """
    from sim.accelerator import simulate_faults  # a campaign in the model needs no simulator
    from sim.transients import simulate_transients

    plan = build.plan()
    graph = build.graph()
    table = site_table(graph, plan)
    if any(fault.kind is Kind.TRANSIENT for strike in strikes for fault in strike):
        passed = simulate_transients(build.directory, x, strikes, cache=cache)
        return Answers(passed.logits, passed.classes, passed.detected == 1 if plan.parity else None)
    # A stuck bit that nothing writes is a flip where it stored the other value, else no change.
    flips = (as_flips(graph, strike) for strike in strikes)
    groups = [[], *([table.site(fault) for fault in strike] for strike in flips)]
    found = simulate_faults(build.directory, x, groups, cache=cache)
    return Answers(found.logits, found.classes, found.detected == 1 if plan.parity else None)


def run_hls(build: Build, x: Array, strike: Strike, *, cache: Path) -> Answers:
    """The HLS C++ of ``build`` under ``strike``, compiled for it: (images, ...)."""
    from sim.csim_faults import simulate_hls_faults

    graph = build.graph()
    table = site_table(graph, build.plan())
    sites = [table.site(fault) for fault in as_flips(graph, strike)]
    found = simulate_hls_faults(build, x, sites, binaries=cache / "csim")
    return Answers(found.logits, found.classes)


def _disagreement(
    campaign: Campaign,
    strikes: FaultList,
    wrong: NDArray[np.bool_],
    *,
    model: Answers,
    rtl: Answers,
    cache: Path,
) -> Reproducer:
    """The first pair that differs, with no more bits than it takes.

    Row 0 has no fault, so a wrong clean run comes first.
    """
    row, image = map(int, np.argwhere(wrong)[0])
    strike: Strike = () if row == 0 else strikes[row - 1]
    answers: dict[str, Answer] = {
        Engine.MODEL: _answer(model, row, image),
        Engine.RTL: _answer(rtl, row, image),
    }
    if len(strike) > 1:
        tried = {strike: answers}

        def differs(part: Strike) -> bool:
            tried[part] = _both(campaign, image, part, cache=cache)
            return tried[part][Engine.MODEL] != tried[part][Engine.RTL]

        strike = minimise(strike, differs)
        answers = tried[strike]
    statement = "model and RTL do not agree"
    claim = Claim.ENGINES_AGREE
    return _reproducer(campaign, strike, image, claim=claim, statement=statement, answers=answers)


def _both(campaign: Campaign, image: int, strike: Strike, *, cache: Path) -> dict[str, Answer]:
    """What model and RTL say about one image under one strike."""
    assert campaign.build is not None, "the recipe demands a build for RTL"
    x = campaign.x[image : image + 1]
    rtl = run_rtl(campaign.build, x, [strike], cache=cache)
    return {
        Engine.MODEL: _answer(evaluate_faults(campaign.graph, x, [strike]), 0, 0),
        Engine.RTL: _answer(rtl, 1, 0),
    }


def _broken_prediction(
    campaign: Campaign, unit: Unit, strikes: FaultList, *, clean: Answers, faulty: Struck
) -> Reproducer | None:
    if campaign.prediction is None:
        return None
    changed = faulty.classes != clean.classes
    broken = changed & campaign.prediction.certified
    statement = "a certified image changes its class"
    if not broken.any():
        broken = changed != campaign.critical(unit)
        statement = "the single-flip analysis predicts the other outcome"
    if not broken.any():
        return None
    row, image = map(int, np.argwhere(broken)[0])
    return _reproducer(
        campaign,
        strikes[row],
        image,
        claim=Claim.CERTIFICATE_HOLDS,
        statement=statement,
        answers={
            "clean": Answer(tuple(clean.logits[image].tolist()), int(clean.classes[image])),
            Engine.MODEL: _answer(faulty.answers(), row, image),
        },
    )


def _reproducer(
    campaign: Campaign,
    faults: Strike,
    image: int,
    *,
    claim: Claim,
    statement: str,
    answers: Mapping[str, Answer],
) -> Reproducer:
    recipe, build = campaign.recipe, campaign.build
    return Reproducer(
        claim=claim,
        statement=statement,
        graph_digest=digest(campaign.graph),
        plan_digest=None if build is None else build.plan_digest,
        graph=None if recipe.graph is None else str(recipe.graph),
        build=None if recipe.build is None else str(recipe.build),
        faults=faults,
        image=tuple(campaign.x[image].ravel().tolist()),
        position=int(campaign.images[image]),
        label=int(campaign.labels[image]),
        answers={str(name): answer for name, answer in answers.items()},
    )


def _answer(answers: Answers, row: int, image: int) -> Answer:
    return Answer(tuple(answers.logits[row, image].tolist()), int(answers.classes[row, image]))
