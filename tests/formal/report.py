"""Prove everything there is to prove: ``make formal``.

python -m tests.formal.report [UNIT...]    prints a line per proof, writes build/formal.json
"""

import sys
from dataclasses import asdict

from flow.atomic import write_json
from sim.formal import proofs, prove
from sim.runner import ROOT

CACHE = ROOT / "build" / "cache" / "formal"


def main(units):
    """0 if every proof of ``units`` holds."""
    found = []
    print(f"{'proof':28}{'verdict':12}{'engine':12}{'depth':>6}{'seconds':>9}")
    for proof in proofs(units):
        verdict = prove(proof, cache=CACHE)
        found.append(verdict)
        print(
            f"{verdict.proof:28}{verdict.verdict:12}{verdict.engine:12}{verdict.depth:>6}"
            f"{verdict.seconds:>9.1f}  {verdict.trace}",
            flush=True,
        )
    write_json(ROOT / "build" / "formal.json", [asdict(verdict) for verdict in found])
    open_ = [verdict.proof for verdict in found if not verdict.proved]
    print(f"{len(found) - len(open_)} of {len(found)} proved", *open_)
    return bool(open_)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
