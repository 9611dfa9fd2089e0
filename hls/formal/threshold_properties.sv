// threshold.sv: the level of every accumulator, counted by definition, any thresholds.
module threshold_properties #(
  parameter int Channels = 2,
  parameter int Lanes = 1,
  parameter int AccBits = 2,
  parameter int AccSigned = 1,
  parameter int ThresholdBits = 3,
  parameter int ThresholdSigned = 1,
  parameter int Steps = 2,
  parameter int Base = -1,
  parameter int OutBits = 2,
  parameter int SignsStored = 1
) (
  input logic                     clk_i,
  input logic                     rst_ni,
  input logic                     valid_i,
  input logic [Lanes*AccBits-1:0] data_i,
  input logic                     ready_i
);

  localparam int Folds    = Channels / Lanes;
  localparam int LaneBits = Steps * ThresholdBits + SignsStored;
  localparam int Words    = Folds;
  localparam int WordBits = Lanes * LaneBits;
  logic [Words*WordBits-1:0] image;
  logic                      cfg_write;
  logic [15:0]               cfg_address;
  logic [WordBits-1:0]       cfg_word;
  loading #(.Words(Words), .WordBits(WordBits)) u_loading (
    .clk_i(clk_i), .rst_ni(rst_ni), .valid_i(valid_i), .write_o(cfg_write),
    .address_o(cfg_address), .word_o(cfg_word), .image_o(image)
  );

  localparam int InWord = Lanes*AccBits, OutWord = Lanes*OutBits;
  localparam int InWords = Folds, OutWords = Folds;
  localparam int FrameBits = 3, Patience = 0;
  `include "ends.svh"

  threshold #(
    .Channels(Channels), .Lanes(Lanes), .AccBits(AccBits), .AccSigned(AccSigned),
    .ThresholdBits(ThresholdBits), .ThresholdSigned(ThresholdSigned), .Steps(Steps), .Base(Base),
    .OutBits(OutBits), .SignsStored(SignsStored)
  ) dut (
    .clk_i(clk_i), .rst_ni(rst_ni), .valid_i(valid_i), .ready_o(ready), .data_i(data_i),
    .valid_o(valid), .ready_i(ready_i), .data_o(data), .cfg_valid_i(cfg_write), .cfg_write_i(1'b1),
    .cfg_memory_i(8'd0), .cfg_address_i(cfg_address), .cfg_data_i(cfg_word),
    .cfg_chain_i({WordBits{1'b0}}), .cfg_chain_o(), .detected_o()
  );

  (* anyconst *) logic [$clog2(Folds+1)-1:0] index;
  logic [Lanes*AccBits-1:0] acc_q;
  logic [LaneBits-1:0]      stored;
  logic [OutBits-1:0]       count;
  logic signed [31:0]       acc, level;
  arrived u_arrived (
    .clk_i(clk_i), .rst_ni(rst_ni), .whole_i(mine && in_index == index),
    .asked_i(asked && out_index == index), .leave_i(asked && out_index == index && ready_i)
  );
  always_ff @(posedge clk_i) if (mine && in_index == index) acc_q <= data_i;
  always_comb begin
    for (int lane = 0; lane < Lanes; lane++) begin
      stored = image[32'(index)*WordBits + lane*LaneBits +: LaneBits];
      acc    = (AccSigned != 0) ? 32'($signed(acc_q[lane*AccBits +: AccBits]))
                                : 32'(acc_q[lane*AccBits +: AccBits]);
      count  = '0;
      for (int step = 0; step < Steps; step++) begin
        level = (ThresholdSigned != 0) ? 32'($signed(stored[step*ThresholdBits +: ThresholdBits]))
                                       : 32'(stored[step*ThresholdBits +: ThresholdBits]);
        if (acc >= level) count = count + 1'b1;
      end
      if (asked && out_index == index) begin
        assert (data[lane*OutBits +: OutBits]
                == ((SignsStored != 0 && !stored[LaneBits-1]) ? OutBits'(Base + Steps) - count
                                                              : OutBits'(Base) + count));
      end
    end
  end

endmodule
