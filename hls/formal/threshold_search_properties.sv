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
  // any contents, written through the configuration port after each reset: threshold 1 with the
  // sign above it, then 0 and 2
  (* anyconst *) logic [ThresholdBits-1:0] threshold0, threshold1, threshold2;
  (* anyconst *) logic                     sign;
  logic [1:0]          load_q;
  logic                loaded;
  logic [WordBits-1:0] word;
  assign loaded = load_q == 2'd3;
  always_ff @(posedge clk_i) begin
    if (!rst_ni)      load_q <= '0;
    else if (!loaded) load_q <= load_q + 1'b1;
  end
  always_comb begin
    word = WordBits'((load_q == 2'd0) ? threshold1 : (load_q == 2'd1) ? threshold0 : threshold2);
    if (SignsStored != 0 && load_q == 2'd0) word[WordBits-1] = sign;
  end

  logic                            ready, valid, in, out, in_last, out_last;
  logic [$clog2(1+1)-1:0]  in_index;
  logic [$clog2(1+1)-1:0] out_index;
  logic [2:0]                      in_frame, out_frame;
  (* anyconst *) logic [2:0]       frame;
  logic [OutBits-1:0]              data;

  threshold_search #(
    .Channels(1), .Lanes(1), .AccBits(AccBits), .AccSigned(1), .ThresholdBits(ThresholdBits),
    .ThresholdSigned(1), .Steps(3), .Base(0), .OutBits(OutBits), .SignsStored(SignsStored)
  ) dut (
    .clk_i  (clk_i),
    .rst_ni (rst_ni),
    .valid_i(valid_i && loaded),
    .ready_o(ready),
    .data_i (data_i),
    .valid_o(valid),
    .ready_i(ready_i),
    .data_o (data),
    .cfg_valid_i  (!loaded),
    .cfg_write_i  (1'b1),
    .cfg_memory_i (8'(load_q != 2'd0)),
    .cfg_address_i(16'(load_q == 2'd2)),
    .cfg_data_i   (word),
    .cfg_chain_i  ({WordBits{1'b0}}),
    .cfg_chain_o  (),
    .detected_o   ()
  );

  ends #(
    .InBits(AccBits), .OutBits(OutBits), .InWords(1), .OutWords(1),
    .FrameBits(3), .Patience(0)
  ) u_ends (
    .clk_i(clk_i), .rst_ni(rst_ni),
    .in_valid_i(valid_i && loaded), .in_ready_i(ready), .in_data_i(data_i),
    .out_valid_i(valid), .out_ready_i(ready_i), .out_data_i(data),
    .in_o(in), .in_index_o(in_index), .in_frame_o(in_frame), .in_last_o(in_last),
    .out_o(out), .out_index_o(out_index), .out_frame_o(out_frame), .out_last_o(out_last)
  );

  logic                            known_q;
  logic [AccBits-1:0]              acc_q;
  logic [1:0]                      count;
  logic signed [ThresholdBits-1:0] probed;
  logic signed [31:0]              acc;
  always_ff @(posedge clk_i) begin
    if (!rst_ni || (out && out_frame == frame)) known_q <= 1'b0;
    else if (in && in_frame == frame) known_q <= 1'b1;
    if (in && in_frame == frame) acc_q <= data_i;
  end
  always_comb begin
    acc      = 32'($signed(acc_q));
    probed   = threshold1;
    count[1] = acc >= 32'(probed);
    probed   = count[1] ? threshold2 : threshold0;
    count[0] = acc >= 32'(probed);
    if (rst_ni && valid && out_frame == frame) begin
      assert (known_q);
      assert (data == OutBits'((SignsStored != 0 && !sign) ? 2'd3 - count : count));
    end
  end

endmodule
