// Concatenation along the channels: per pixel, the first stream's words, then the second's.
//
// Reference    flow/ops/layout.py, Concat, bit-exact
// Latency      1 cycle
// Throughput   1 word per cycle, (Channels0 + Channels1) / Lanes words per pixel
// Stall        only the stream whose turn it is has ready_o, and only while the output can move
module concat #(
  parameter int Channels0 = 4,
  parameter int Channels1 = 2,
  parameter int Lanes     = 2,  // elements per word, divides both
  parameter int InBits0   = 4,
  parameter int InKind0   = 0,  // 0 unsigned, 1 signed, 2 bipolar
  parameter int InBits1   = 4,
  parameter int InKind1   = 0,
  parameter int OutBits   = 4   // at least InBits0 and InBits1
) (
  input  logic                               clk_i,
  input  logic                               rst_ni,  // synchronous, active low
  // both streams, stream 0 in the low bits
  input  logic [1:0]                         valid_i,
  output logic [1:0]                         ready_o,
  input  logic [Lanes*(InBits0+InBits1)-1:0] data_i,
  // joined
  output logic                               valid_o,
  input  logic                               ready_i,
  output logic [Lanes*OutBits-1:0]           data_o
);

  localparam int Beats0   = Channels0 / Lanes;
  localparam int Beats    = (Channels0 + Channels1) / Lanes;
  localparam int BeatBits = $clog2(Beats + 1);

  initial if (Channels0 % Lanes != 0 || Channels1 % Lanes != 0) begin
    $fatal(1, "%m: Lanes=%0d must divide Channels0=%0d and Channels1=%0d", Lanes, Channels0,
           Channels1);
  end
  initial if (OutBits < InBits0 || OutBits < InBits1) begin
    $fatal(1, "%m: OutBits=%0d cannot hold InBits0=%0d and InBits1=%0d", OutBits, InBits0, InBits1);
  end

  logic                     valid_q;
  logic [Lanes*OutBits-1:0] data0, data1, data_q;
  logic [BeatBits-1:0]      beat_q;
  logic                     advance, second, take;

  for (genvar lane = 0; lane < Lanes; lane++) begin : gen_lane
    logic [InBits0-1:0] x0;
    logic [InBits1-1:0] x1;
    assign x0 = data_i[lane*InBits0 +: InBits0];
    assign x1 = data_i[Lanes*InBits0 + lane*InBits1 +: InBits1];
    assign data0[lane*OutBits +: OutBits] = (InKind0 == 1) ? OutBits'($signed(x0)) : OutBits'(x0);
    assign data1[lane*OutBits +: OutBits] = (InKind1 == 1) ? OutBits'($signed(x1)) : OutBits'(x1);
  end

  assign advance = !valid_q || ready_i;
  assign second  = beat_q >= BeatBits'(Beats0);
  assign ready_o = {advance && second, advance && !second};
  assign take    = second ? valid_i[1] : valid_i[0];

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      valid_q <= 1'b0;
      beat_q  <= '0;
    end else if (advance) begin
      valid_q <= take;
      if (take) beat_q <= (beat_q == BeatBits'(Beats - 1)) ? '0 : beat_q + 1'b1;
    end
  end

  always_ff @(posedge clk_i) if (advance && take) data_q <= second ? data1 : data0;

  assign valid_o = valid_q;
  assign data_o  = data_q;

endmodule
