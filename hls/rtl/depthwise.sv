// Depthwise product: Pe channels at a time, each with its own weights, one tap per cycle.
//
// Reference    flow/ops/matvec.py with groups = rows, bit-exact, the accumulator's wrap included
// Latency      (Columns - 1) + 5 cycles from the first word taken to the first word offered
// Throughput   (Rows / Pe) * Columns cycles per position, positions back to back
// Stall        ready_o falls only while a result waits on ready_i; no bubble on release
//
// A word holds Pe channels of one tap, the taps of these channels follow each other: what window.sv
// gives with Groups = Rows / Pe and Lanes = Pe. Stages and kinds are those of matvec.sv, the weight
// memory is that of a matvec with Simd = 1.
module depthwise #(
  parameter int Rows           = 4,   // channels
  parameter int Columns        = 9,   // taps of the window
  parameter int Pe             = 2,   // channels per cycle, divides Rows
  parameter int InBits         = 4,   // per input element
  parameter int InKind         = 0,   // 0 unsigned, 1 signed, 2 bipolar (bit 0 is -1)
  parameter int WeightBits     = 4,   // per weight
  parameter int WeightKind     = 1,   // 1 signed, 2 bipolar
  parameter int AccBits        = 12,  // accumulator, wraps
  parameter int Popcount       = 0,   // 1: both sides bipolar
  parameter int WeightLo       = -(1 << (WeightBits - 1)),  // lesser signed codes are read as this
  parameter int WeightHi       = (1 << (WeightBits - 1)) - 1,  // and greater ones as this
  parameter     File           = "",  // $readmemh image: word channel / Pe * Columns + tap
  parameter int CfgIndex       = 0,   // this memory's number on the configuration bus
  parameter int CfgBits        = Pe * WeightBits,
  parameter int CfgFirst       = 0,   // 1: the chain begins here
  parameter int CfgMemoryBits  = 8,   // of the bus's memory number
  parameter int CfgAddressBits = 16,  // and of its addresses
  parameter int Parity         = 0,   // 1: memories check the parity of their words
  parameter int Style          = 0    // of its memories, see memory.sv
) (
  input  logic                      clk_i,
  input  logic                      rst_ni,  // synchronous, active low
  // one tap of Pe channels, lane 0 in the low bits
  input  logic                      valid_i,
  output logic                      ready_o,
  input  logic [Pe*InBits-1:0]      data_i,
  // Pe accumulators, lane 0 in the low bits
  output logic                      valid_o,
  input  logic                      ready_i,
  output logic [Pe*AccBits-1:0]     data_o,
  // configuration, see memory.sv
  input  logic                      cfg_valid_i,
  input  logic                      cfg_write_i,
  input  logic [CfgMemoryBits-1:0]  cfg_memory_i,
  input  logic [CfgAddressBits-1:0] cfg_address_i,
  input  logic [CfgBits-1:0]        cfg_data_i,
  input  logic [CfgBits-1:0]        cfg_chain_i,
  output logic [CfgBits-1:0]        cfg_chain_o,
  // protection, see memory.sv
  output logic                      detected_o
);

  localparam int Words       = Rows / Pe * Columns;
  localparam int AddressBits = (Words > 1) ? $clog2(Words) : 1;
  localparam int TapBits     = (Columns > 1) ? $clog2(Columns) : 1;
  localparam int ExactBits   = (Popcount != 0) ? 1 : InBits + 1 + WeightBits;
  localparam int SumBits     = (ExactBits < AccBits) ? ExactBits : AccBits;

  initial if (Rows % Pe != 0) $fatal(1, "%m: Pe=%0d does not divide Rows=%0d", Pe, Rows);
  initial if (WeightKind != 1 && (WeightKind != 2 || WeightBits != 1)) begin
    $fatal(1, "%m: WeightKind=%0d of %0d bits is neither 1 nor 2", WeightKind, WeightBits);
  end
  initial if (InKind < 0 || InKind > 2 || (InKind == 2 && InBits != 1)) begin
    $fatal(1, "%m: InKind=%0d of %0d bits is none of 0, 1, 2", InKind, InBits);
  end
  initial if (Popcount != 0 && (InKind != 2 || WeightKind != 2)) begin
    $fatal(1, "%m: Popcount needs InKind=2 and WeightKind=2, not %0d and %0d", InKind, WeightKind);
  end

  // the output register decides for every stage
  logic valid_q, advance, take;
  assign advance = !valid_q || ready_i;
  assign take    = valid_i && advance;
  assign ready_o = advance;

  // stage 0: one tap's weights
  logic [AddressBits-1:0]   address_q;
  logic [Pe*InBits-1:0]     x_q;
  logic                     x_valid_q;
  logic [Pe*WeightBits-1:0] weights;

  memory #(
    .Words         (Words),
    .Bits          (Pe * WeightBits),
    .File          (File),
    .CfgIndex      (CfgIndex),
    .CfgBits       (CfgBits),
    .CfgFirst      (CfgFirst),
    .CfgMemoryBits (CfgMemoryBits),
    .CfgAddressBits(CfgAddressBits),
    .Parity        (Parity),
    .Style         (Style)
  ) u_weights (
    .clk_i        (clk_i),
    .rst_ni       (rst_ni),
    .enable_i     (take),
    .advance_i    (advance),
    .address_i    (address_q),
    .data_o       (weights),
    .cfg_valid_i  (cfg_valid_i),
    .cfg_write_i  (cfg_write_i),
    .cfg_memory_i (cfg_memory_i),
    .cfg_address_i(cfg_address_i),
    .cfg_data_i   (cfg_data_i),
    .cfg_chain_i  (cfg_chain_i),
    .cfg_chain_o  (cfg_chain_o),
    .detected_o   (detected_o)
  );

  // stage 2: both in registers, the weights inside their memory
  logic [TapBits-1:0]       tap_q;
  logic                     tap_last;
  logic [Pe*InBits-1:0]     x2_q;

  assign tap_last = tap_q == TapBits'(Columns - 1);

  // stages 3 and 4: products, which dot registers; stage 5: accumulation, as in matvec.sv
  logic [Pe*SumBits-1:0] sum_d, sum_q;
  logic [2:0]            valid_line_q, last_line_q;  // of stages 2, 3 and 4
  logic [Pe*AccBits-1:0] acc_d, acc_q, data_q;
  logic                  add, last;

  assign add  = advance && valid_line_q[2];
  assign last = advance && last_line_q[2];

  for (genvar pe = 0; pe < Pe; pe++) begin : gen_pe
    logic [AccBits-1:0] addend;

    dot #(
      .Simd      (1),
      .InBits    (InBits),
      .InKind    (InKind),
      .WeightBits(WeightBits),
      .WeightKind(WeightKind),
      .SumBits   (SumBits),
      .Popcount  (Popcount),
      .WeightLo  (WeightLo),
      .WeightHi  (WeightHi)
    ) u_dot (
      .clk_i    (clk_i),
      .advance_i(advance),
      .x_i      (x2_q[pe*InBits +: InBits]),
      .weights_i(weights[pe*WeightBits +: WeightBits]),
      .sum_o    (sum_d[pe*SumBits +: SumBits])
    );

    assign addend = (Popcount != 0) ? AccBits'(sum_q[pe*SumBits +: SumBits])
                                    : AccBits'($signed(sum_q[pe*SumBits +: SumBits]));
    assign acc_d[pe*AccBits +: AccBits] = acc_q[pe*AccBits +: AccBits] + addend;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      address_q    <= '0;
      tap_q        <= '0;
      x_valid_q    <= 1'b0;
      valid_line_q <= '0;
      last_line_q  <= '0;
      valid_q      <= 1'b0;
    end else if (advance) begin
      if (take) address_q <= (address_q == AddressBits'(Words - 1)) ? '0 : address_q + 1'b1;
      if (x_valid_q) tap_q <= tap_last ? '0 : tap_q + 1'b1;
      x_valid_q    <= take;
      valid_line_q <= {valid_line_q[1:0], x_valid_q};
      last_line_q  <= {last_line_q[1:0], x_valid_q && tap_last};
      valid_q      <= last;
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni || last) acc_q <= '0;
    else if (add)        acc_q <= acc_d;
  end

  always_ff @(posedge clk_i) begin
    if (take) x_q <= data_i;
    if (advance) begin
      x2_q        <= x_q;
      sum_q       <= sum_d;
    end
    if (last) data_q <= acc_d;
  end

  assign valid_o = valid_q;
  assign data_o  = data_q;

endmodule
