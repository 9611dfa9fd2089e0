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
  input logic              clk_i,
  input logic              rst_ni,
  input logic              valid_i,
  input logic [Lanes*AccBits-1:0] data_i,
  input logic              ready_i
);

  localparam int Folds    = Channels / Lanes;
  localparam int LaneBits = Steps * ThresholdBits + SignsStored;
  localparam int Words    = Folds;
  localparam int WordBits = Lanes * LaneBits;
  // any contents, written through the configuration port after each reset
  (* anyconst *) logic [Words*WordBits-1:0] image;
  logic [$clog2(Words+1)-1:0] load_q;
  logic                       loaded;
  assign loaded = load_q == ($clog2(Words + 1))'(Words);
  always_ff @(posedge clk_i) begin
    if (!rst_ni)      load_q <= '0;
    else if (!loaded) load_q <= load_q + 1'b1;
  end

  logic                          ready, valid, in, out, in_last, out_last;
  logic [Lanes*OutBits-1:0]             data;
  logic [$clog2(Folds+1)-1:0]     in_index;
  logic [$clog2(Folds+1)-1:0]    out_index;
  logic [3-1:0]                    in_frame, out_frame;
  (* anyconst *) logic [3-1:0]     frame;

  threshold #(
    .Channels(Channels),
    .Lanes(Lanes),
    .AccBits(AccBits),
    .AccSigned(AccSigned),
    .ThresholdBits(ThresholdBits),
    .ThresholdSigned(ThresholdSigned),
    .Steps(Steps),
    .Base(Base),
    .OutBits(OutBits),
    .SignsStored(SignsStored)
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
    .cfg_memory_i (8'd0),
    .cfg_address_i(16'(load_q)),
    .cfg_data_i   (image[load_q*WordBits +: WordBits]),
    .cfg_chain_i  ({WordBits{1'b0}}),
    .cfg_chain_o  (),
    .detected_o   ()
  );

  ends #(
    .InBits(Lanes*AccBits), .OutBits(Lanes*OutBits), .InWords(Folds), .OutWords(Folds), .FrameBits(3),
    .Patience(0)
  ) u_ends (
    .clk_i(clk_i), .rst_ni(rst_ni),
    .in_valid_i(valid_i && loaded), .in_ready_i(ready), .in_data_i(data_i),
    .out_valid_i(valid), .out_ready_i(ready_i), .out_data_i(data),
    .in_o(in), .in_index_o(in_index), .in_frame_o(in_frame), .in_last_o(in_last),
    .out_o(out), .out_index_o(out_index), .out_frame_o(out_frame), .out_last_o(out_last)
  );

  (* anyconst *) logic [$clog2(Folds+1)-1:0] index;
  logic                     known_q;
  logic [Lanes*AccBits-1:0] acc_q;
  logic [LaneBits-1:0]      stored;
  logic [OutBits-1:0]       count;
  logic signed [31:0]       acc, level;
  always_ff @(posedge clk_i) begin
    if (!rst_ni || (out && out_index == index && out_frame == frame)) known_q <= 1'b0;
    else if (in && in_index == index && in_frame == frame) known_q <= 1'b1;
    if (in && in_index == index && in_frame == frame) acc_q <= data_i;
  end
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
      if (rst_ni && valid && out_index == index && out_frame == frame) begin
        assert (known_q);
        assert (data[lane*OutBits +: OutBits]
                == ((SignsStored != 0 && !stored[LaneBits-1]) ? OutBits'(Base + Steps) - count
                                                              : OutBits'(Base) + count));
      end
    end
  end

endmodule
