"""The host's streams block at their depth, and a deadlock is found at once and named."""

import subprocess

import pytest

from sim.compile import compile_host
from tests.conformance.hls_units import CACHE

# fork -> (short, detour) -> join: the detour gives nothing before it has taken `hold` words, so the
# short path must be able to keep as many
DIAMOND = """
#include <cstdlib>
#include <iostream>
#include "dataflow.hpp"
#include "hls_stream.h"

int main(int, char** arguments) {
  const int depth = std::atoi(arguments[1]), hold = std::atoi(arguments[2]), words = 60;
  try {
    hls::stream<int> direct("direct", depth), longer("longer", 2), late("late", 2);
    dataflow region;
    region.process("fork", [&] {
      for (int i = 0; i < words; ++i) {
        direct.write(i);
        longer.write(i);
      }
    });
    region.process("detour", [&] {
      for (int block = 0; block < words / hold; ++block) {
        int sum = 0;
        for (int i = 0; i < hold; ++i) sum += longer.read();
        for (int i = 0; i < hold; ++i) late.write(sum);
      }
    });
    region.process("join", [&] {
      long total = 0;
      for (int i = 0; i < words; ++i) total += late.read() - direct.read();
      std::cout << total << '\\n';
    });
    region.finish();
    the_scheduler().expect_no_leftovers();
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\\n';
    return 3;
  }
  return 0;
}
"""
HOLD = 6


@pytest.fixture(scope="module")
def diamond(tmp_path_factory):
    source = tmp_path_factory.mktemp("diamond") / "diamond.cpp"
    source.write_text(DIAMOND)
    return compile_host([source], include=[], binaries=CACHE, optimise=False)


def run(diamond, depth):
    command = [str(diamond), str(depth), str(HOLD)]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)


@pytest.mark.parametrize("repeat", range(5))
@pytest.mark.parametrize("depth", [HOLD, HOLD + 1, 60])
def test_a_stream_deep_enough_never_blocks_for_good(diamond, depth, repeat):
    done = run(diamond, depth)

    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) == (HOLD - 1) * sum(range(60))


@pytest.mark.parametrize("repeat", range(5))
@pytest.mark.parametrize("depth", [0, 1, HOLD - 1])
def test_a_stream_too_shallow_is_a_deadlock_that_names_every_waiting_process(
    diamond, depth, repeat
):
    done = run(diamond, depth)

    assert done.returncode == 3
    assert sorted(done.stderr.strip().split("; ")) == [
        "detour waits to read longer (empty)",
        f"fork waits to write direct (full at depth {depth})",
        "join waits to read late (empty)",
    ]
