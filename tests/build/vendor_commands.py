"""The commands of AMD's tools that our scripts use: options with a value, options without.

From the tools' published command references (UG835 for Vivado, UG1118 for the packager, UG994 for
block designs, UG1399 for Vitis HLS). No tool was run.
"""

from __future__ import annotations

import re

VIVADO = {
    "add_files": ("-fileset -copy_to", "-norecurse -scan_for_includes"),
    "apply_bd_automation": ("-rule -config", ""),
    "assign_bd_address": ("-offset -range", ""),
    "close_project": ("", "-delete"),
    "connect_bd_intf_net": ("-intf_net -boundary_type", ""),
    "connect_bd_net": ("-net", ""),
    "create_bd_cell": ("-type -vlnv -reference", ""),
    "create_bd_design": ("-dir -cell", ""),
    "create_clock": ("-period -name -waveform", "-add"),
    "create_project": ("-part", "-force -in_memory -ip"),
    "current_fileset": ("", "-constrset -simset -srcset"),
    "current_project": ("", ""),
    "get_bd_cells": ("-filter -of_objects", "-hierarchical"),
    "get_bd_intf_pins": ("-filter -of_objects", "-hierarchical"),
    "get_bd_pins": ("-filter -of_objects", "-hierarchical"),
    "get_files": ("-filter -of_objects", "-all -norecurse"),
    "get_ports": ("-filter -of_objects", ""),
    "ipx::check_integrity": ("", "-xrt"),
    "ipx::create_xgui_files": ("", ""),
    "ipx::current_core": ("", ""),
    "ipx::package_project": (
        "-root_dir -vendor -library -taxonomy -name -version -module",
        "-import_files -force -set_current",
    ),
    "ipx::save_core": ("", ""),
    "ipx::update_checksums": ("", ""),
    "launch_runs": ("-jobs -to_step -scripts_only", "-force"),
    "make_wrapper": ("-files", "-top -import -force"),
    "opt_design": ("-directive", ""),
    "phys_opt_design": ("-directive", ""),
    "place_design": ("-directive", ""),
    "read_mem": ("", ""),
    "read_verilog": ("-library", "-sv"),
    "read_xdc": ("-mode -cells -ref", "-unmanaged"),
    "report_timing_summary": ("-file -max_paths", ""),
    "report_utilization": ("-file -cells", "-hierarchical"),
    "route_design": ("-directive", ""),
    "save_bd_design": ("", ""),
    "set_property": ("-name -value -dict", ""),
    "synth_design": ("-top -part -mode -generic -directive -flatten_hierarchy", ""),
    "update_compile_order": ("-fileset", ""),
    "update_ip_catalog": ("", "-rebuild"),
    "validate_bd_design": ("", "-force"),
    "wait_on_runs": ("-timeout", ""),
    "write_checkpoint": ("", "-force"),
}
VITIS = {
    "add_files": ("-cflags -csimflags -blackbox", "-tb"),
    "close_project": ("", ""),
    "cosim_design": ("-rtl -argv -tool -trace_level", "-O -setup"),
    "create_clock": ("-period -name", ""),
    "csim_design": ("-argv -ldflags", "-clean -O -setup"),
    "csynth_design": ("", ""),
    "export_design": ("-format -rtl -output -vendor -library -ipname -version -display_name", ""),
    "open_project": ("", "-reset"),
    "open_solution": ("-flow_target", "-reset"),
    "set_part": ("", ""),
    "set_top": ("", ""),
}
PLAIN = {"cd", "file"}  # Tcl's own


def unknown_words(calls, known):
    """What ``calls`` have that ``known`` has not: commands, options, an option's value."""
    for name, *words in calls:
        if name in PLAIN:
            continue
        if name not in known:
            yield name
            continue
        valued, flags = (set(options.split()) for options in known[name])
        place = 0
        while place < len(words):
            if re.match(r"-[a-zA-Z]", words[place]):
                if words[place] not in valued | flags:
                    yield f"{name} {words[place]}"
                elif words[place] in valued:
                    place += 1
                    if place == len(words):
                        yield f"{name} {words[-1]} without a value"
            place += 1
