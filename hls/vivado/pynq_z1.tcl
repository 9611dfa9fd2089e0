# The bitstream for a PYNQ-Z1; package_ip.tcl first. The vendor of the board has its board files.
#   vivado -mode batch -source pynq_z1.tcl
cd [file dirname [file normalize [info script]]]
set board_part www.digilentinc.com:pynq-z1:part0:1.0
source block_design.tcl
