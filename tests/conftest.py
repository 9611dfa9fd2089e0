"""Options and fixtures shared by every test."""

import pytest
from hypothesis import settings

from flow.cli import main
from sim.runner import ROOT, SIMULATORS

# The gate tries the same examples every time; --hypothesis-profile=explore looks for new ones.
settings.register_profile("gate", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None, print_blob=True)
settings.load_profile("gate")


def pytest_addoption(parser):
    parser.addoption("--sim", choices=SIMULATORS, default=SIMULATORS[0], help="RTL simulator")


@pytest.fixture(scope="session")
def simulator(request):
    """The simulator that RTL tests run in."""
    return request.config.getoption("--sim")


@pytest.fixture(scope="session")
def compiled():
    """Where compiled designs are kept, by content: a second run of the tests compiles nothing."""
    return ROOT / "build" / "cache" / "rtl"


@pytest.fixture
def bitproof(monkeypatch, capsys):
    """Run the console script; returns (exit status, standard output, standard error)."""

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["bitproof", *map(str, arguments)])
        try:
            main()
            status = 0
        except SystemExit as stop:
            status = stop.code or 0
        out, err = capsys.readouterr()
        return status, out, err

    return run
