// Generated: parameters, memory images and instances only.
// Memories by cfg_memory_i (words x bits):
//   0  fc0.weights, 4 x 2
//   1  act0.thresholds, 2 x 10
//   2  fc1.weights, 1 x 4
module accelerator #(
  parameter Fc0WeightsFile = "images/fc0.weights.hex",
  parameter Act0ThresholdsFile = "images/act0.thresholds.hex",
  parameter Fc1WeightsFile = "images/fc1.weights.hex"
) (
  input  logic clk_i,
  input  logic rst_ni,  // synchronous, active low
  // one image, lane 0 in the low bits
  input  logic valid_i,
  output logic ready_o,
  input  logic [9:0] data_i,
  // class above the logits
  output logic valid_o,
  input  logic ready_i,
  output logic [4:0] data_o,
  // configuration, only between images
  input  logic cfg_valid_i,
  input  logic cfg_write_i,
  input  logic [1:0] cfg_memory_i,
  input  logic [1:0] cfg_address_i,
  input  logic [9:0] cfg_data_i,
  output logic [9:0] cfg_data_o,
  // protection: which memories have given a damaged word
  output logic [2:0] detected_o
);

  logic fc0_valid, fc0_ready;
  logic [7:0] fc0_data;
  logic act0_valid, act0_ready;
  logic [0:0] act0_data;
  logic act0_width_valid, act0_width_ready;
  logic [1:0] act0_width_data;
  logic act0_fifo_valid, act0_fifo_ready;
  logic [1:0] act0_fifo_data;
  logic fc1_valid, fc1_ready;
  logic [3:0] fc1_data;
  logic [9:0] cfg_chain_1;
  logic [9:0] cfg_chain_2;

  matvec #(
    .Rows(2),
    .Columns(4),
    .Pe(1),
    .Simd(2),
    .InBits(5),
    .InKind(0),
    .WeightBits(1),
    .WeightKind(2),
    .AccBits(8),
    .Popcount(0),
    .Groups(1),
    .File(Fc0WeightsFile),
    .CfgIndex(0),
    .CfgBits(10),
    .CfgFirst(0),
    .CfgMemoryBits(2),
    .CfgAddressBits(2)
  ) u_fc0 (
    .clk_i(clk_i),
    .rst_ni(rst_ni),
    .valid_i(valid_i),
    .data_i(data_i),
    .ready_o(ready_o),
    .valid_o(fc0_valid),
    .data_o(fc0_data),
    .ready_i(fc0_ready),
    .cfg_valid_i(cfg_valid_i),
    .cfg_write_i(cfg_write_i),
    .cfg_memory_i(cfg_memory_i),
    .cfg_address_i(cfg_address_i),
    .cfg_data_i(cfg_data_i),
    .cfg_chain_i(cfg_chain_2),
    .cfg_chain_o(cfg_data_o),
    .detected_o(detected_o[0])
  );

  threshold #(
    .Channels(2),
    .Lanes(1),
    .AccBits(8),
    .AccSigned(1),
    .ThresholdBits(9),
    .ThresholdSigned(1),
    .Steps(1),
    .Base(0),
    .OutBits(1),
    .SignsStored(1),
    .File(Act0ThresholdsFile),
    .CfgIndex(1),
    .CfgBits(10),
    .CfgFirst(1),
    .CfgMemoryBits(2),
    .CfgAddressBits(2)
  ) u_act0 (
    .clk_i(clk_i),
    .rst_ni(rst_ni),
    .valid_i(fc0_valid),
    .data_i(fc0_data),
    .ready_o(fc0_ready),
    .valid_o(act0_valid),
    .data_o(act0_data),
    .ready_i(act0_ready),
    .cfg_valid_i(cfg_valid_i),
    .cfg_write_i(cfg_write_i),
    .cfg_memory_i(cfg_memory_i),
    .cfg_address_i(cfg_address_i),
    .cfg_data_i(cfg_data_i),
    .cfg_chain_i('0),
    .cfg_chain_o(cfg_chain_1),
    .detected_o(detected_o[1])
  );

  width #(
    .InLanes(1),
    .OutLanes(2),
    .Bits(1)
  ) u_act0_width (
    .clk_i(clk_i),
    .rst_ni(rst_ni),
    .valid_i(act0_valid),
    .data_i(act0_data),
    .ready_o(act0_ready),
    .valid_o(act0_width_valid),
    .data_o(act0_width_data),
    .ready_i(act0_width_ready)
  );

  fifo #(
    .Depth(2),
    .Bits(2),
    .Form(1)
  ) u_act0_fifo (
    .clk_i(clk_i),
    .rst_ni(rst_ni),
    .valid_i(act0_width_valid),
    .data_i(act0_width_data),
    .ready_o(act0_width_ready),
    .valid_o(act0_fifo_valid),
    .data_o(act0_fifo_data),
    .ready_i(act0_fifo_ready),
    .high_water_o()
  );

  matvec #(
    .Rows(2),
    .Columns(2),
    .Pe(2),
    .Simd(2),
    .InBits(1),
    .InKind(2),
    .WeightBits(1),
    .WeightKind(2),
    .AccBits(2),
    .Popcount(1),
    .Groups(1),
    .File(Fc1WeightsFile),
    .CfgIndex(2),
    .CfgBits(10),
    .CfgFirst(0),
    .CfgMemoryBits(2),
    .CfgAddressBits(2)
  ) u_fc1 (
    .clk_i(clk_i),
    .rst_ni(rst_ni),
    .valid_i(act0_fifo_valid),
    .data_i(act0_fifo_data),
    .ready_o(act0_fifo_ready),
    .valid_o(fc1_valid),
    .data_o(fc1_data),
    .ready_i(fc1_ready),
    .cfg_valid_i(cfg_valid_i),
    .cfg_write_i(cfg_write_i),
    .cfg_memory_i(cfg_memory_i),
    .cfg_address_i(cfg_address_i),
    .cfg_data_i(cfg_data_i),
    .cfg_chain_i(cfg_chain_1),
    .cfg_chain_o(cfg_chain_2),
    .detected_o(detected_o[2])
  );

  argmax #(
    .Classes(2),
    .Lanes(2),
    .LogitBits(2),
    .LogitSigned(0)
  ) u_argmax (
    .clk_i(clk_i),
    .rst_ni(rst_ni),
    .valid_i(fc1_valid),
    .data_i(fc1_data),
    .ready_o(fc1_ready),
    .valid_o(valid_o),
    .data_o(data_o),
    .ready_i(ready_i)
  );

endmodule
