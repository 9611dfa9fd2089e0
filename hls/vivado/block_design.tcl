# A Zynq-7000 system: processor, DMA and the packaged accelerator; system.bit and system.hwh.
# Called by the script of a board, which sets board_part.
source settings.tcl

create_project -force -part xc7z020clg400-1 system project/system
set_property board_part $board_part [current_project]
set_property ip_repo_paths ip [current_project]
update_ip_catalog
create_bd_design system

# cells; the names "dma" and "accelerator" are those the driver's example looks for
create_bd_cell -type ip -vlnv xilinx.com:ip:processing_system7:5.5 processor
apply_bd_automation -rule xilinx.com:bd_rule:processing_system7 \
  -config {make_external "FIXED_IO, DDR" apply_board_preset 1 Master Disable Slave Disable} \
  [get_bd_cells processor]
set_property -dict [list CONFIG.PCW_USE_M_AXI_GP0 1 CONFIG.PCW_USE_S_AXI_HP0 1 \
  CONFIG.PCW_FPGA0_PERIPHERAL_FREQMHZ $clock_mhz] [get_bd_cells processor]
create_bd_cell -type ip -vlnv xilinx.com:ip:proc_sys_reset:5.0 reset
create_bd_cell -type ip -vlnv xilinx.com:ip:axi_dma:7.1 dma
set_property -dict [list CONFIG.c_include_sg 0 CONFIG.c_sg_include_stscntrl_strm 0 \
  CONFIG.c_sg_length_width 26 CONFIG.c_m_axi_mm2s_data_width 64 \
  CONFIG.c_m_axis_mm2s_tdata_width $image_bits CONFIG.c_m_axi_s2mm_data_width 64 \
  CONFIG.c_mm2s_burst_size 16 CONFIG.c_s2mm_burst_size 16] [get_bd_cells dma]
create_bd_cell -type ip -vlnv bitproof:nn:$top:1.0 accelerator
create_bd_cell -type ip -vlnv xilinx.com:ip:smartconnect:1.0 control
set_property -dict [list CONFIG.NUM_SI 1 CONFIG.NUM_MI 2] [get_bd_cells control]
create_bd_cell -type ip -vlnv xilinx.com:ip:smartconnect:1.0 memory
set_property -dict [list CONFIG.NUM_SI 2 CONFIG.NUM_MI 1] [get_bd_cells memory]

# streams and buses
connect_bd_intf_net [get_bd_intf_pins dma/M_AXIS_MM2S] [get_bd_intf_pins accelerator/s_axis]
connect_bd_intf_net [get_bd_intf_pins accelerator/m_axis] [get_bd_intf_pins dma/S_AXIS_S2MM]
connect_bd_intf_net [get_bd_intf_pins processor/M_AXI_GP0] [get_bd_intf_pins control/S00_AXI]
connect_bd_intf_net [get_bd_intf_pins control/M00_AXI] [get_bd_intf_pins dma/S_AXI_LITE]
connect_bd_intf_net [get_bd_intf_pins control/M01_AXI] [get_bd_intf_pins accelerator/s_axi]
connect_bd_intf_net [get_bd_intf_pins dma/M_AXI_MM2S] [get_bd_intf_pins memory/S00_AXI]
connect_bd_intf_net [get_bd_intf_pins dma/M_AXI_S2MM] [get_bd_intf_pins memory/S01_AXI]
connect_bd_intf_net [get_bd_intf_pins memory/M00_AXI] [get_bd_intf_pins processor/S_AXI_HP0]

# one clock, one reset
connect_bd_net [get_bd_pins processor/FCLK_CLK0] [get_bd_pins reset/slowest_sync_clk] \
  [get_bd_pins processor/M_AXI_GP0_ACLK] [get_bd_pins processor/S_AXI_HP0_ACLK] \
  [get_bd_pins control/aclk] [get_bd_pins memory/aclk] [get_bd_pins accelerator/aclk] \
  [get_bd_pins dma/s_axi_lite_aclk] [get_bd_pins dma/m_axi_mm2s_aclk] \
  [get_bd_pins dma/m_axi_s2mm_aclk]
connect_bd_net [get_bd_pins processor/FCLK_RESET0_N] [get_bd_pins reset/ext_reset_in]
connect_bd_net [get_bd_pins reset/peripheral_aresetn] [get_bd_pins control/aresetn] \
  [get_bd_pins memory/aresetn] [get_bd_pins accelerator/aresetn] [get_bd_pins dma/axi_resetn]

assign_bd_address
validate_bd_design
save_bd_design
make_wrapper -files [get_files system.bd] -top -import
set_property top system_wrapper [current_fileset]
update_compile_order -fileset sources_1

launch_runs impl_1 -to_step write_bitstream -jobs 2
wait_on_runs impl_1
file copy -force project/system/system.runs/impl_1/system_wrapper.bit system.bit
file copy -force project/system/system.gen/sources_1/bd/system/hw_handoff/system.hwh system.hwh
close_project
