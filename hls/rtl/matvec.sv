// Matrix-vector product, folded: Pe rows by Simd columns of products per cycle.
//
// Reference    flow/ops/matvec.py, bit-exact, the accumulator's wrap-around included
// Latency      (Columns / Simd - 1) + 5 cycles from the first word taken to the first word offered
// Throughput   (Rows / Pe) * (Columns / Simd) cycles per vector of Groups * Columns elements
// Stall        input is taken in the first row fold only; a waiting result stops every stage
//
// Stages: 0 address and replay, 1 input and weights inside their memories, 2 the same in registers
// (block RAM answers late in its cycle), 3 partial sums of products, 4 their sum, 5 the
// accumulator with the output register. Popcount = 1 counts agreeing bits (unsigned), else products
// are summed in two's complement. Weights must not be configured while a vector is inside.
module matvec #(
  parameter int Rows           = 4,
  parameter int Columns        = 8,
  parameter int Pe             = 2,   // rows per cycle, divides Rows
  parameter int Simd           = 4,   // columns per cycle, divides Columns
  parameter int InBits         = 4,   // per input element
  parameter int InKind         = 0,   // 0 unsigned, 1 signed, 2 bipolar (bit 0 is -1)
  parameter int WeightBits     = 4,   // per weight
  parameter int WeightKind     = 1,   // 1 signed, 2 bipolar
  parameter int AccBits        = 12,  // accumulator, wraps
  parameter int Popcount       = 0,   // 1: both sides bipolar
  parameter int Groups         = 1,   // group g of the rows sees the g-th vector, divides Rows / Pe
  parameter int WeightLo       = -(1 << (WeightBits - 1)),  // lesser signed codes are read as this
  parameter int WeightHi       = (1 << (WeightBits - 1)) - 1,  // and greater ones as this
  parameter     File           = "",  // $readmemh image: word rowfold * (Columns / Simd) + colfold
  parameter int CfgIndex       = 0,   // this memory's number on the configuration bus
  parameter int CfgBits        = Pe * Simd * WeightBits,
  parameter int CfgFirst       = 0,   // 1: the chain begins here
  parameter int CfgMemoryBits  = 8,   // of the bus's memory number
  parameter int CfgAddressBits = 16,  // and of its addresses
  parameter int Parity         = 0,   // 1: memories check the parity of their words
  parameter int Style          = 0    // of its memories, see memory.sv
) (
  input  logic                      clk_i,
  input  logic                      rst_ni,  // synchronous, active low
  // Simd elements of the vector, lane 0 in the low bits
  input  logic                      valid_i,
  output logic                      ready_o,
  input  logic [Simd*InBits-1:0]    data_i,
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

  localparam int ColumnFolds = Columns / Simd;
  localparam int RowFolds    = Rows / Pe;
  localparam int Words       = RowFolds * ColumnFolds;
  localparam int ColumnBits  = (ColumnFolds > 1) ? $clog2(ColumnFolds) : 1;
  localparam int AddressBits = (Words > 1) ? $clog2(Words) : 1;
  localparam int RowBits     = Simd * WeightBits;            // one row's part of a weight word
  localparam int ProductBits = InBits + 1 + WeightBits;
  localparam int ExactBits   = (Popcount != 0) ? $clog2(Simd + 1) : ProductBits + $clog2(Simd);
  localparam int SumBits     = (ExactBits < AccBits) ? ExactBits : AccBits;

  initial if (Rows % Pe != 0 || Columns % Simd != 0) begin
    $fatal(1, "%m: Pe=%0d must divide Rows=%0d and Simd=%0d Columns=%0d", Pe, Rows, Simd, Columns);
  end
  initial if (RowFolds % Groups != 0) begin
    $fatal(1, "%m: Groups=%0d must divide Rows/Pe=%0d", Groups, RowFolds);
  end
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
  logic valid_q, advance;
  assign advance = !valid_q || ready_i;

  // stage 0: one step reads one weight word, and one input word from the stream or the buffer
  logic [AddressBits-1:0] address_q;
  logic                   step, replay_ready, x_valid;
  logic [Simd*InBits-1:0] x;
  logic [Pe*RowBits-1:0]  weights;

  assign ready_o = advance && replay_ready;
  assign step    = advance && (valid_i || !replay_ready);

  replay #(
    .Length (ColumnFolds),
    .Repeats(RowFolds / Groups),
    .Bits   (Simd * InBits)
  ) u_replay (
    .clk_i  (clk_i),
    .rst_ni (rst_ni),
    .valid_i(valid_i && advance),  // it may not fill a bubble that the weights do not fill
    .ready_o(replay_ready),
    .data_i (data_i),
    .valid_o(x_valid),
    .ready_i(advance),
    .data_o (x)
  );

  memory #(
    .Words         (Words),
    .Bits          (Pe * RowBits),
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
    .enable_i     (step),
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
  logic [ColumnBits-1:0]  column_q;
  logic                   column_last;
  logic [Simd*InBits-1:0] x_q;

  assign column_last = column_q == ColumnBits'(ColumnFolds - 1);

  // stages 3 and 4: partial sums, which dot registers, and their sums
  logic [Pe*SumBits-1:0] sum_d, sum_q;
  logic [2:0]            valid_line_q, last_line_q;  // of stages 2, 3 and 4

  for (genvar pe = 0; pe < Pe; pe++) begin : gen_pe
    dot #(
      .Simd      (Simd),
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
      .x_i      (x_q),
      .weights_i(weights[pe*RowBits +: RowBits]),
      .sum_o    (sum_d[pe*SumBits +: SumBits])
    );
  end

  // stage 5: the last step clears the accumulator and fills the output register, so that no gate
  // has to keep the previous vector out of the first step
  logic [Pe*AccBits-1:0] acc_d, acc_q, data_q;
  logic                  add, last;

  assign add  = advance && valid_line_q[2];
  assign last = advance && last_line_q[2];

  for (genvar pe = 0; pe < Pe; pe++) begin : gen_acc
    logic [AccBits-1:0] addend;
    assign addend = (Popcount != 0) ? AccBits'(sum_q[pe*SumBits +: SumBits])
                                    : AccBits'($signed(sum_q[pe*SumBits +: SumBits]));
    assign acc_d[pe*AccBits +: AccBits] = acc_q[pe*AccBits +: AccBits] + addend;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      address_q    <= '0;
      column_q     <= '0;
      valid_line_q <= '0;
      last_line_q  <= '0;
      valid_q      <= 1'b0;
    end else begin
      if (step) address_q <= (address_q == AddressBits'(Words - 1)) ? '0 : address_q + 1'b1;
      if (advance) begin
        if (x_valid) column_q <= column_last ? '0 : column_q + 1'b1;
        valid_line_q <= {valid_line_q[1:0], x_valid};
        last_line_q  <= {last_line_q[1:0], x_valid && column_last};
        valid_q      <= last;
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni || last) acc_q <= '0;
    else if (add)        acc_q <= acc_d;
  end

  always_ff @(posedge clk_i) begin
    if (advance) begin
      x_q         <= x;
      sum_q       <= sum_d;
    end
    if (last) data_q <= acc_d;
  end

  assign valid_o = valid_q;
  assign data_o  = data_q;

endmodule
