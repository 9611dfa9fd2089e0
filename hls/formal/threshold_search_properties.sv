// threshold_search.sv: what the search of three thresholds finds by definition, in any order.
module threshold_search_properties #(
  parameter int AccBits = 2,
  parameter int ThresholdBits = 2,
  parameter int OutBits = 2,
  parameter int SignsStored = 0
) (
  input logic               clk_i,
  input logic               rst_ni,
  input logic               valid_i,
  input logic [AccBits-1:0] data_i,
  input logic               ready_i
);

  localparam int WordBits = ThresholdBits + SignsStored;
  localparam int Words    = 3;  // threshold 1 with the sign above it, then 0 and 2
  logic [Words*WordBits-1:0] image;
  logic                      cfg_write;
  logic [15:0]               cfg_address;
  logic [WordBits-1:0]       cfg_word;
  loading #(.Words(Words), .WordBits(WordBits)) u_loading (
    .clk_i(clk_i), .rst_ni(rst_ni), .valid_i(valid_i), .write_o(cfg_write),
    .address_o(cfg_address), .word_o(cfg_word), .image_o(image)
  );
  logic [ThresholdBits-1:0] threshold0, threshold1, threshold2;
  logic                     sign;
  assign threshold1 = image[ThresholdBits-1:0];
  assign sign       = image[WordBits-1];
  assign threshold0 = image[WordBits +: ThresholdBits];
  assign threshold2 = image[2*WordBits +: ThresholdBits];

  localparam int InWord = AccBits, OutWord = OutBits;
  localparam int InWords = 1, OutWords = 1;
  localparam int FrameBits = 3, Patience = 0;
  `include "ends.svh"

  threshold_search #(
    .Channels(1), .Lanes(1), .AccBits(AccBits), .AccSigned(1), .ThresholdBits(ThresholdBits),
    .ThresholdSigned(1), .Steps(3), .Base(0), .OutBits(OutBits), .SignsStored(SignsStored)
  ) dut (
    .clk_i(clk_i), .rst_ni(rst_ni), .valid_i(valid_i), .ready_o(ready), .data_i(data_i),
    .valid_o(valid), .ready_i(ready_i), .data_o(data), .cfg_valid_i(cfg_write), .cfg_write_i(1'b1),
    .cfg_memory_i(8'(cfg_address != 16'd0)), .cfg_address_i(16'(cfg_address == 16'd2)),
    .cfg_data_i(cfg_word), .cfg_chain_i({WordBits{1'b0}}), .cfg_chain_o(), .detected_o()
  );

  logic [AccBits-1:0]              acc_q;
  logic [1:0]                      count;
  logic signed [ThresholdBits-1:0] probed;
  logic signed [31:0]              acc;
  arrived u_arrived (
    .clk_i(clk_i), .rst_ni(rst_ni), .whole_i(mine), .asked_i(asked), .leave_i(gone)
  );
  always_ff @(posedge clk_i) if (mine) acc_q <= data_i;
  always_comb begin
    acc      = 32'($signed(acc_q));
    probed   = threshold1;
    count[1] = acc >= 32'(probed);
    probed   = count[1] ? threshold2 : threshold0;
    count[0] = acc >= 32'(probed);
    if (asked) assert (data == OutBits'((SignsStored != 0 && !sign) ? 2'd3 - count : count));
  end

endmodule
