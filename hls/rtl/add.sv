// Exact weighted sum of one or two streams, channel by channel.
//
// Reference    flow/ops/add.py, bit-exact, the accumulator's wrap-around included
// Latency      2 cycles: constants are read, then multiplied and added
// Throughput   1 word per cycle
// Stall        a word is taken from both streams or from neither; a waiting result stops every stage
//
// The constants are part of the circuit and not of the configuration: nothing writes them.
module add #(
  parameter int Inputs         = 2,   // 1 or 2
  parameter int Channels       = 4,   // Lanes, where every channel has the same constants
  parameter int Lanes          = 2,   // elements per word, divides Channels
  parameter int InBits0        = 8,
  parameter int InKind0        = 0,   // 0 unsigned, 1 signed, 2 bipolar (bit 0 is -1)
  parameter int InBits1        = 8,   // of the second stream, if there is one
  parameter int InKind1        = 0,
  parameter int MultiplierBits = 4,   // two's complement
  parameter int OffsetBits     = 4,   // two's complement
  parameter int AccBits        = 16,  // wraps
  parameter logic [Lanes*(Inputs*MultiplierBits+OffsetBits)-1:0] Constants = '0,  // if Channels = Lanes
  parameter     File           = ""   // $readmemh image if not: word channel / Lanes
) (
  input  logic                                            clk_i,
  input  logic                                            rst_ni,  // synchronous, active low
  // the streams, stream 0 in the low bits
  input  logic [Inputs-1:0]                               valid_i,
  output logic [Inputs-1:0]                               ready_o,
  input  logic [Lanes*(InBits0+(Inputs-1)*InBits1)-1:0]   data_i,
  // sums, lane 0 in the low bits
  output logic                                            valid_o,
  input  logic                                            ready_i,
  output logic [Lanes*AccBits-1:0]                        data_o
);

  localparam int Folds    = Channels / Lanes;
  localparam int FoldBits = (Folds > 1) ? $clog2(Folds) : 1;
  localparam int LaneBits = Inputs * MultiplierBits + OffsetBits;
  localparam int WordBits = Lanes * LaneBits;
  localparam int DataBits = Lanes * (InBits0 + (Inputs - 1) * InBits1);

  initial if (Channels % Lanes != 0) begin
    $fatal(1, "%m: Lanes=%0d does not divide Channels=%0d", Lanes, Channels);
  end
  initial if (Inputs < 1 || Inputs > 2) $fatal(1, "%m: Inputs=%0d is neither 1 nor 2", Inputs);

  logic advance, take;

  // stage 0: the constants of these channels
  logic [FoldBits-1:0] fold_q;
  logic [WordBits-1:0] constants;
  logic [DataBits-1:0] x_q;
  logic                x_valid_q;

  assign take    = advance && (&valid_i);
  assign ready_o = {Inputs{take}};

  if (Folds > 1) begin : gen_read
    logic [WordBits-1:0] words [Folds];
    logic [WordBits-1:0] constants_q;
    initial if (File != "") $readmemh(File, words);
    always_ff @(posedge clk_i) if (take) constants_q <= words[fold_q];
    assign constants = constants_q;
  end else begin : gen_constant  // no memory: synthesis sees what it multiplies by
    assign constants = Constants;
  end

  // stage 1: products and their sum
  logic                     valid_q;
  logic [Lanes*AccBits-1:0] data_d, data_q;

  for (genvar lane = 0; lane < Lanes; lane++) begin : gen_lane
    logic [LaneBits-1:0]          stored;
    logic [InBits0-1:0]           code0;
    logic signed [InBits0:0]      x0;
    logic signed [AccBits-1:0]    m0, offset, product1;
    assign stored = constants[lane*LaneBits +: LaneBits];
    assign code0  = x_q[lane*InBits0 +: InBits0];
    assign x0     = (InKind0 == 2) ? (InBits0 + 1)'($signed({!code0[0], 1'b1}))
                  : (InKind0 == 1) ? (InBits0 + 1)'($signed(code0)) : $signed({1'b0, code0});
    assign m0     = AccBits'($signed(stored[0 +: MultiplierBits]));
    assign offset = AccBits'($signed(stored[Inputs*MultiplierBits +: OffsetBits]));

    if (Inputs == 2) begin : gen_second
      logic [InBits1-1:0]        code1;
      logic signed [InBits1:0]   x1;
      logic signed [AccBits-1:0] m1;
      assign code1    = x_q[Lanes*InBits0 + lane*InBits1 +: InBits1];
      assign x1       = (InKind1 == 2) ? (InBits1 + 1)'($signed({!code1[0], 1'b1}))
                      : (InKind1 == 1) ? (InBits1 + 1)'($signed(code1)) : $signed({1'b0, code1});
      assign m1       = AccBits'($signed(stored[MultiplierBits +: MultiplierBits]));
      assign product1 = AccBits'(x1) * m1;
    end else begin : gen_single
      assign product1 = '0;
    end

    assign data_d[lane*AccBits +: AccBits] = AccBits'(x0) * m0 + product1 + offset;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      fold_q    <= '0;
      x_valid_q <= 1'b0;
      valid_q   <= 1'b0;
    end else if (advance) begin
      if (take) fold_q <= (fold_q == FoldBits'(Folds - 1)) ? '0 : fold_q + 1'b1;
      x_valid_q <= take;
      valid_q   <= x_valid_q;
    end
  end

  always_ff @(posedge clk_i) begin
    if (take) x_q <= data_i;
    if (advance && x_valid_q) data_q <= data_d;
  end

  assign advance = !valid_q || ready_i;
  assign valid_o = valid_q;
  assign data_o  = data_q;

endmodule
