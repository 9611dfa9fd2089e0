# Synthesis, placement and routing of the accelerator alone, out of context; reports in reports.
#   vivado -mode batch -source synthesise.tcl
cd [file dirname [file normalize [info script]]]
source settings.tcl
file mkdir reports

read_verilog -sv $sources
read_mem $memories
read_xdc -mode out_of_context clock.xdc
synth_design -top $top -part $part -mode out_of_context
report_utilization -hierarchical -file reports/synthesis.rpt
opt_design
place_design
phys_opt_design
route_design
report_utilization -file reports/utilization.rpt
report_timing_summary -file reports/timing.rpt
write_checkpoint -force reports/$top.dcp
