# C simulation, synthesis, co-simulation and packaging of the accelerator's HLS C++.
#   vitis-run --mode hls --tcl build.tcl       (before 2023.2: vitis_hls -f build.tcl)
cd [file dirname [file normalize [info script]]]
source settings.tcl
set folders "-std=c++17 -I. -I../hls -Ikernels"
set vectors [file normalize vectors.txt]

open_project -reset project
set_top $top
add_files accelerator_axi.cpp -cflags $folders
add_files ../hls/accelerator.cpp -cflags $folders
add_files -tb bench.cpp -cflags $folders
open_solution -reset -flow_target vivado solution
set_part $part
create_clock -period $clock_ns -name default
csim_design -argv $vectors
csynth_design
cosim_design -rtl verilog -argv $vectors
export_design -format ip_catalog -rtl verilog -vendor bitproof -library nn -version 1.0
close_project
