// Multi-threshold activation: level = Base + number of thresholds the accumulator has reached.
//
// Reference    flow/ops/threshold.py, count form, bit-exact
// Latency      4 cycles: thresholds are read, registered, compared, counted
// Throughput   1 beat per cycle, Channels / Lanes beats per vector
// Stall        ready_o falls only while a result waits on ready_i; no bubble on release
//
// A stored sign bit of 0 makes its channel descend: level = Base + Steps - number reached. Counting
// needs no order, so a flipped threshold bit moves the level by one at most.
module threshold #(
  parameter int Channels        = 8,   // elements per vector
  parameter int Lanes           = 2,   // elements per beat, divides Channels
  parameter int AccBits         = 12,  // per input element
  parameter int AccSigned       = 1,
  parameter int ThresholdBits   = 13,  // per stored threshold
  parameter int ThresholdSigned = 1,
  parameter int Steps           = 3,   // thresholds per channel
  parameter int Base            = 0,   // level with none reached
  parameter int OutBits         = 2,   // per output element
  parameter int SignsStored     = 0,   // 1: a sign bit above each lane's thresholds
  parameter     File            = "",  // $readmemh image: word channel / Lanes
  parameter int CfgIndex        = 0,   // this memory's number on the configuration bus
  parameter int CfgBits         = Lanes * (Steps * ThresholdBits + SignsStored),
  parameter int CfgFirst        = 0,   // 1: the chain begins here
  parameter int CfgMemoryBits   = 8,   // of the bus's memory number
  parameter int CfgAddressBits  = 16,  // and of its addresses
  parameter int Parity          = 0,   // 1: memories check the parity of their words
  parameter int Style           = 0    // of its memories, see memory.sv
) (
  input  logic                      clk_i,
  input  logic                      rst_ni,  // synchronous, active low
  // accumulators, lane 0 in the low bits
  input  logic                      valid_i,
  output logic                      ready_o,
  input  logic [Lanes*AccBits-1:0]  data_i,
  // levels, lane 0 in the low bits
  output logic                      valid_o,
  input  logic                      ready_i,
  output logic [Lanes*OutBits-1:0]  data_o,
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

  localparam int LaneBits    = Steps * ThresholdBits + SignsStored;
  localparam int Folds       = Channels / Lanes;  // beats per vector
  localparam int FoldBits    = (Folds > 1) ? $clog2(Folds) : 1;
  localparam int Signed      = (AccSigned != 0 || ThresholdSigned != 0) ? 1 : 0;
  localparam int AccWide     = AccBits + ((Signed != AccSigned) ? 1 : 0);
  localparam int LevelWide   = ThresholdBits + ((Signed != ThresholdSigned) ? 1 : 0);
  localparam int CompareBits = (AccWide > LevelWide) ? AccWide : LevelWide;  // holds both

  initial if (Channels % Lanes != 0) begin
    $fatal(1, "%m: Lanes=%0d does not divide Channels=%0d", Lanes, Channels);
  end
  initial if (SignsStored != 0 && SignsStored != 1) begin
    $fatal(1, "%m: SignsStored=%0d is neither 0 nor 1", SignsStored);
  end

  logic advance;

  // stage 0: the word of thresholds
  logic [FoldBits-1:0]       fold_q;
  logic                      take;
  logic [Lanes*AccBits-1:0]  acc_q;
  logic                      acc_valid_q;
  logic [Lanes*LaneBits-1:0] thresholds;

  assign take = valid_i && advance;

  memory #(
    .Words         (Folds),
    .Bits          (Lanes * LaneBits),
    .File          (File),
    .CfgIndex      (CfgIndex),
    .CfgBits       (CfgBits),
    .CfgFirst      (CfgFirst),
    .CfgMemoryBits (CfgMemoryBits),
    .CfgAddressBits(CfgAddressBits),
    .Parity        (Parity),
    .Style         (Style)
  ) u_thresholds (
    .clk_i        (clk_i),
    .rst_ni       (rst_ni),
    .enable_i     (take),
    .advance_i    (advance),
    .address_i    (fold_q),
    .data_o       (thresholds),
    .cfg_valid_i  (cfg_valid_i),
    .cfg_write_i  (cfg_write_i),
    .cfg_memory_i (cfg_memory_i),
    .cfg_address_i(cfg_address_i),
    .cfg_data_i   (cfg_data_i),
    .cfg_chain_i  (cfg_chain_i),
    .cfg_chain_o  (cfg_chain_o),
    .detected_o   (detected_o)
  );

  // stage 1: accumulators follow the thresholds, which memory.sv registers
  logic [Lanes*AccBits-1:0] compared_q;
  logic                     compared_valid_q;

  // stages 2 and 3: compare, then count
  logic [Lanes*Steps-1:0]   reached_d, reached_q;
  logic [Lanes-1:0]         ascending_d, ascending_q;
  logic                     reached_valid_q, valid_q;
  logic [Lanes*OutBits-1:0] data_d, data_q;

  for (genvar lane = 0; lane < Lanes; lane++) begin : gen_lane
    logic [LaneBits-1:0]    stored;
    logic [CompareBits-1:0] acc;
    logic [Steps-1:0]       reached;  // Icarus 11 miscounts an expression's ones, not a net's
    logic [OutBits-1:0]     count;

    assign stored = thresholds[lane*LaneBits +: LaneBits];
    assign acc    = (AccSigned != 0) ? CompareBits'($signed(compared_q[lane*AccBits +: AccBits]))
                                     : CompareBits'(compared_q[lane*AccBits +: AccBits]);

    for (genvar step = 0; step < Steps; step++) begin : gen_step
      logic [CompareBits-1:0] level;
      assign level = (ThresholdSigned != 0)
                   ? CompareBits'($signed(stored[step*ThresholdBits +: ThresholdBits]))
                   : CompareBits'(stored[step*ThresholdBits +: ThresholdBits]);
      if (Signed != 0) begin : gen_signed
        assign reached_d[lane*Steps+step] = $signed(acc) >= $signed(level);
      end else begin : gen_unsigned
        assign reached_d[lane*Steps+step] = acc >= level;
      end
    end

    if (SignsStored != 0) begin : gen_sign
      assign ascending_d[lane] = stored[LaneBits-1];
    end else begin : gen_no_sign
      assign ascending_d[lane] = 1'b1;
    end

    assign reached = reached_q[lane*Steps +: Steps];
    assign count   = OutBits'($countones(reached));
    assign data_d[lane*OutBits +: OutBits] = ascending_q[lane] ? OutBits'(Base) + count
                                                               : OutBits'(Base + Steps) - count;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      fold_q           <= '0;
      acc_valid_q      <= 1'b0;
      compared_valid_q <= 1'b0;
      reached_valid_q  <= 1'b0;
      valid_q          <= 1'b0;
    end else if (advance) begin
      if (valid_i) fold_q <= (fold_q == FoldBits'(Folds - 1)) ? '0 : fold_q + 1'b1;
      acc_valid_q      <= valid_i;
      compared_valid_q <= acc_valid_q;
      reached_valid_q  <= compared_valid_q;
      valid_q          <= reached_valid_q;
    end
  end

  always_ff @(posedge clk_i) begin
    if (take) acc_q <= data_i;
    if (advance) begin
      compared_q  <= acc_q;
      reached_q   <= reached_d;
      ascending_q <= ascending_d;
    end
    if (advance && reached_valid_q) data_q <= data_d;
  end

  assign advance = !valid_q || ready_i;
  assign ready_o = advance;
  assign valid_o = valid_q;
  assign data_o  = data_q;

endmodule
