#pragma once
// What main.cpp needs of a generated accelerator: its vendor form and its threaded form.

#include "accelerator.hpp"  // generated; first, since it sets the widest word of the vendor header
#include "dataflow.hpp"
#include "lanes.hpp"

// Start every process of the accelerator in `region` and wait for the end; simulation.cpp is
// generated and lists the processes of accelerator.cpp with the same streams.
void simulate(dataflow& region, hls::stream<InputWord>& in, hls::stream<OutputWord>& out,
              int vectors);
