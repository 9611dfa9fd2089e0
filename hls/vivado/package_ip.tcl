# The accelerator as an IP core with AXI4-Stream and AXI4-Lite, in the folder ip.
#   vivado -mode batch -source package_ip.tcl
cd [file dirname [file normalize [info script]]]
source settings.tcl

create_project -force -part $part package project/package
add_files -norecurse $sources
add_files -norecurse $memories
set_property top $top [current_fileset]
update_compile_order -fileset sources_1

ipx::package_project -root_dir ip -vendor bitproof -library nn -taxonomy /UserIP -import_files -force
set_property name $top [ipx::current_core]
set_property version 1.0 [ipx::current_core]
set_property display_name "bitproof $network" [ipx::current_core]
set_property description "Graph $digest" [ipx::current_core]
ipx::create_xgui_files [ipx::current_core]
ipx::update_checksums [ipx::current_core]
ipx::check_integrity [ipx::current_core]
ipx::save_core [ipx::current_core]
close_project
