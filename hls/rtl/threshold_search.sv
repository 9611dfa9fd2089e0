// Multi-threshold activation by binary search, for many levels: a comparator per bit of the level.
//
// Reference    flow/ops/threshold.py, search form, bit-exact for thresholds in any order
// Latency      2 * clog2(Steps + 1) + 1 cycles: each stage reads and registers, then compares
// Throughput   1 beat per cycle, Channels / Lanes beats per vector
// Stall        ready_o falls only while a result waits on ready_i; no bubble on release
//
// Stage s decides bit b = Stages-1-s of the count. After j, the bits already decided, it probes
// threshold (2*j + 1) * 2^b - 1, so each threshold is probed in one stage only and has its place in
// that stage's memory: word fold * 2^s + j. A probe at Steps or above is not reached, whatever its
// word holds. Stage 0 keeps the sign bit, above its threshold: 0 makes a channel descend.
//
// Lanes probe different words, so each lane of each stage has a memory of its own. Memory stage *
// Lanes + lane of the unit is CfgIndex + that on the configuration bus; their reads are merged by
// gates, not by a chain as long as there are memories.
module threshold_search #(
  parameter int Channels        = 8,   // elements per vector
  parameter int Lanes           = 2,   // elements per beat, divides Channels
  parameter int AccBits         = 12,  // per input element
  parameter int AccSigned       = 1,
  parameter int ThresholdBits   = 13,  // per stored threshold
  parameter int ThresholdSigned = 1,
  parameter int Steps           = 15,  // thresholds per channel
  parameter int Base            = 0,   // level with none reached
  parameter int OutBits         = 4,   // per output element
  parameter int SignsStored     = 0,   // 1: a sign bit above the thresholds of stage 0
  parameter     File            = "",  // $readmemh images: File_<stage, 2 digits>_<lane, 4>.hex
  parameter int CfgIndex        = 0,   // the first memory's number on the configuration bus
  parameter int CfgBits         = ThresholdBits + SignsStored,
  parameter int CfgFirst        = 0,   // 1: the chain begins here
  parameter int CfgMemoryBits   = 8,   // of the bus's memory number
  parameter int CfgAddressBits  = 16,  // and of its addresses
  parameter int Parity          = 0,   // 1: memories check the parity of their words
  parameter int Style           = 0    // of its memories, see memory.sv
) (
  input  logic                             clk_i,
  input  logic                             rst_ni,  // synchronous, active low
  // accumulators, lane 0 in the low bits
  input  logic                             valid_i,
  output logic                             ready_o,
  input  logic [Lanes*AccBits-1:0]         data_i,
  // levels, lane 0 in the low bits
  output logic                             valid_o,
  input  logic                             ready_i,
  output logic [Lanes*OutBits-1:0]         data_o,
  // configuration, see memory.sv
  input  logic                             cfg_valid_i,
  input  logic                             cfg_write_i,
  input  logic [CfgMemoryBits-1:0]         cfg_memory_i,
  input  logic [CfgAddressBits-1:0]        cfg_address_i,
  input  logic [CfgBits-1:0]               cfg_data_i,
  input  logic [CfgBits-1:0]               cfg_chain_i,
  output logic [CfgBits-1:0]               cfg_chain_o,
  // protection, see memory.sv; by memory
  output logic [$clog2(Steps+1)*Lanes-1:0] detected_o
);

  localparam int Stages      = $clog2(Steps + 1);
  localparam int Memories    = Stages * Lanes;
  localparam int Folds       = Channels / Lanes;  // beats per vector
  localparam int FoldBits    = (Folds > 1) ? $clog2(Folds) : 1;
  localparam int MostBits    = ThresholdBits + SignsStored + Parity;  // of a stored word
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
  initial if (Steps < 1 || Lanes > 9999) begin
    $fatal(1, "%m: Steps=%0d must be positive and Lanes=%0d below 10000", Steps, Lanes);
  end

  logic valid_q, advance;
  logic [Lanes*OutBits-1:0] data_d, data_q;

  // between stages: accumulators, counts and signs, by stage, then lane
  logic [Stages*Lanes*AccBits-1:0]     acc;
  logic [(Stages+1)*Lanes*Stages-1:0]  count;
  logic [(Stages+1)*Lanes-1:0]         ascending;
  logic [Stages:0]                     valid;
  logic [Memories*MostBits-1:0]        words;  // as configuration reads them, 0 in other cycles

  assign acc[0 +: Lanes*AccBits]  = data_i;
  assign count[0 +: Lanes*Stages] = '0;
  assign ascending[0 +: Lanes]    = '1;
  assign valid[0]                 = valid_i;

  for (genvar stage = 0; stage < Stages; stage++) begin : gen_stage
    localparam int Slots       = 1 << stage;  // of a channel
    localparam int Bit         = Stages - 1 - stage;
    localparam int Probed      = (Steps + (1 << Bit)) >> (Bit + 1);  // of these slots
    localparam int Words       = Folds * Slots;
    localparam int AddressBits = (Words > 1) ? $clog2(Words) : 1;
    localparam int WordBits    = ThresholdBits + ((stage == 0) ? SignsStored : 0);
    localparam int StoredBits  = WordBits + Parity;

    logic [FoldBits-1:0] fold_q;
    logic [1:0]          line_q;  // whether a word is read, is registered
    logic                take;

    assign take           = valid[stage] && advance;
    assign valid[stage+1] = line_q[1];

    always_ff @(posedge clk_i) begin
      if (!rst_ni) begin
        fold_q   <= '0;
        line_q <= '0;
      end else if (advance) begin
        if (take) fold_q <= (fold_q == FoldBits'(Folds - 1)) ? '0 : fold_q + 1'b1;
        line_q <= {line_q[0], take};
      end
    end

    for (genvar lane = 0; lane < Lanes; lane++) begin : gen_lane
      localparam Image = (File == "") ? "" : {
        File, "_", 8'(48 + stage / 10), 8'(48 + stage % 10), "_", 8'(48 + lane / 1000),
        8'(48 + lane / 100 % 10), 8'(48 + lane / 10 % 10), 8'(48 + lane % 10), ".hex"};

      logic [AccBits-1:0]     x, x_q, x2_q;
      logic [Stages-1:0]      j, j_q, j2_q;
      logic                   up, up_q, up2_q, reached;
      logic [AddressBits-1:0] address;
      logic [WordBits-1:0]    word;
      logic [StoredBits-1:0]  read;
      logic [CompareBits-1:0] acc_wide, level;

      assign x       = acc[(stage*Lanes + lane)*AccBits +: AccBits];
      assign j       = count[(stage*Lanes + lane)*Stages +: Stages];
      assign up      = ascending[stage*Lanes + lane];
      assign address = AddressBits'((32'(fold_q) << stage) | 32'(j));

      memory #(
        .Words         (Words),
        .Bits          (WordBits),
        .File          (Image),
        .CfgIndex      (CfgIndex + stage * Lanes + lane),
        .CfgBits       (StoredBits),
        .CfgMemoryBits (CfgMemoryBits),
        .CfgAddressBits(CfgAddressBits),
        .Parity        (Parity),
        .Style         (Style)
      ) u_slice (
        .clk_i        (clk_i),
        .rst_ni       (rst_ni),
        .enable_i     (take),
        .advance_i    (advance),
        .address_i    (address),
        .data_o       (word),
        .cfg_valid_i  (cfg_valid_i),
        .cfg_write_i  (cfg_write_i),
        .cfg_memory_i (cfg_memory_i),
        .cfg_address_i(cfg_address_i),
        .cfg_data_i   (cfg_data_i[StoredBits-1:0]),
        .cfg_chain_i  ('0),
        .cfg_chain_o  (read),
        .detected_o   (detected_o[stage*Lanes + lane])
      );

      assign words[(stage*Lanes + lane)*MostBits +: MostBits] = MostBits'(read);

      // the accumulator, the count and the sign follow the word
      always_ff @(posedge clk_i) begin
        if (advance) begin
          {x_q, j_q, up_q}    <= {x, j, up};
          {x2_q, j2_q, up2_q} <= {x_q, j_q, up_q};
        end
      end

      assign acc_wide = (AccSigned != 0) ? CompareBits'($signed(x2_q)) : CompareBits'(x2_q);
      assign level    = (ThresholdSigned != 0) ? CompareBits'($signed(word[ThresholdBits-1:0]))
                                               : CompareBits'(word[ThresholdBits-1:0]);
      if (Signed != 0) begin : gen_signed
        assign reached = 32'(j2_q) < Probed && $signed(acc_wide) >= $signed(level);
      end else begin : gen_unsigned
        assign reached = 32'(j2_q) < Probed && acc_wide >= level;
      end

      if (stage + 1 < Stages) begin : gen_next
        assign acc[((stage+1)*Lanes + lane)*AccBits +: AccBits] = x2_q;
      end
      assign count[((stage+1)*Lanes + lane)*Stages +: Stages] = Stages'({j2_q, reached});
      if (stage == 0 && SignsStored != 0) begin : gen_sign
        assign ascending[(stage+1)*Lanes + lane] = word[WordBits-1];
      end else begin : gen_no_sign
        assign ascending[(stage+1)*Lanes + lane] = up2_q;
      end
    end
  end

  for (genvar lane = 0; lane < Lanes; lane++) begin : gen_level
    logic [Stages-1:0]  reached;
    logic [OutBits-1:0] found;
    assign reached = count[(Stages*Lanes + lane)*Stages +: Stages];
    assign found   = OutBits'(reached);
    assign data_d[lane*OutBits +: OutBits] = ascending[Stages*Lanes + lane]
                                           ? OutBits'(Base) + found
                                           : OutBits'(Base + Steps) - found;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni)      valid_q <= 1'b0;
    else if (advance) valid_q <= valid[Stages];
  end

  always_ff @(posedge clk_i) if (advance && valid[Stages]) data_q <= data_d;

  assign advance = !valid_q || ready_i;
  assign ready_o = advance;
  assign valid_o = valid_q;
  assign data_o  = data_q;

  // one place in the chain for all memories of the unit
  logic [1:0]          read_q;
  logic [MostBits-1:0] merged;
  logic                read;
  logic                unused;

  assign unused = ^{cfg_data_i, cfg_chain_i, read_q};
  assign read = cfg_valid_i && !cfg_write_i && 32'(cfg_memory_i) - 32'(CfgIndex) < 32'(Memories);

  always_ff @(posedge clk_i) begin
    if (!rst_ni) read_q <= '0;
    else         read_q <= {read_q[0], read};
  end

  always_comb begin
    merged = '0;
    for (int i = 0; i < Memories; i++) merged = merged | words[i*MostBits +: MostBits];
  end

  if (CfgFirst != 0) begin : gen_first
    assign cfg_chain_o = CfgBits'(merged);
  end else if (CfgBits > MostBits) begin : gen_narrow
    assign cfg_chain_o[MostBits-1:0]       = read_q[1] ? merged : cfg_chain_i[MostBits-1:0];
    assign cfg_chain_o[CfgBits-1:MostBits] = cfg_chain_i[CfgBits-1:MostBits];
  end else begin : gen_wide
    assign cfg_chain_o = read_q[1] ? merged : cfg_chain_i;
  end

endmodule
