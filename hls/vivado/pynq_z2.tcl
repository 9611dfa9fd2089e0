# The bitstream for a PYNQ-Z2; package_ip.tcl first. The vendor of the board has its board files.
#   vivado -mode batch -source pynq_z2.tcl
cd [file dirname [file normalize [info script]]]
set board_part tul.com.tw:pynq-z2:part0:1.0
source block_design.tcl
