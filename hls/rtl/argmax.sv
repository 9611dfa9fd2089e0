// Class with the largest logit, beside all logits of the vector.
//
// Reference    flow/ops/argmax.py, bit-exact: the smallest index wins a tie
// Latency      1 + clog2(Lanes) cycles after the last beat of a vector
// Throughput   1 beat per cycle, Classes / Lanes beats per vector
// Stall        ready_o falls only while a result waits on ready_i; no bubble on release
//
// The best lane of a beat comes out of a tree with a register behind each level; the beat follows
// it, and the last stage compares it with the best of the vector so far.
module argmax #(
  parameter int Classes     = 10,
  parameter int Lanes       = 2,   // logits per beat, divides Classes
  parameter int LogitBits   = 12,
  parameter int LogitSigned = 1
) (
  input  logic                       clk_i,
  input  logic                       rst_ni,  // synchronous, active low
  // logits, lane 0 in the low bits
  input  logic                       valid_i,
  output logic                       ready_o,
  input  logic [Lanes*LogitBits-1:0] data_i,
  // class above the logits, class 0's logit in the low bits
  output logic                       valid_o,
  input  logic                       ready_i,
  output logic [((Classes > 1) ? $clog2(Classes) : 1) + Classes*LogitBits - 1:0] data_o
);

  localparam int ClassBits  = (Classes > 1) ? $clog2(Classes) : 1;
  localparam int Folds      = Classes / Lanes;  // beats per vector
  localparam int FoldBits   = (Folds > 1) ? $clog2(Folds) : 1;
  localparam int BeatBits   = Lanes * LogitBits;
  localparam int LogitsBits = Classes * LogitBits;

  initial if (Classes % Lanes != 0) begin
    $fatal(1, "%m: Lanes=%0d does not divide Classes=%0d", Lanes, Classes);
  end

  localparam int Levels   = (Lanes > 1) ? $clog2(Lanes) : 0;
  localparam int Slots    = 1 << Levels;  // of a level; level l uses the first Lanes / 2^l, rounded up
  localparam int LaneBits = (Lanes > 1) ? $clog2(Lanes) : 1;
  localparam int KeyBits  = LaneBits + LogitBits;  // of a lane: {lane, logit in unsigned order}
  localparam int LineBits = (Levels > 0) ? Levels : 1;
  localparam logic [LogitBits-1:0] SignBit = LogitBits'((LogitSigned != 0) ? 1 : 0) << (LogitBits - 1);

  logic                             valid_q, advance, last, found;
  logic [FoldBits-1:0]              fold_q;
  logic [ClassBits-1:0]             class_d, class_q;
  logic [LogitBits-1:0]             best_q;
  logic                             better;
  logic [LogitsBits+BeatBits-1:0]   logits_d;  // the oldest beat falls out below
  logic [LogitsBits-1:0]            logits_q;
  logic [(Levels+1)*Slots*KeyBits-1:0] key;    // by level, then slot
  logic [LineBits*Slots*KeyBits-1:0]   key_q;  // of levels 1 and up
  logic [(LineBits+1)*BeatBits-1:0] beats_d;   // the beat behind each level
  logic [LineBits*BeatBits-1:0]     beats_q;
  logic [LineBits:0]                line_d;    // whether there is one
  logic [LineBits-1:0]              line_q;
  logic [KeyBits-1:0]               winner;
  logic [BeatBits-1:0]              beat;
  logic                             unused;

  assign advance  = !valid_q || ready_i;
  assign ready_o  = advance;
  assign last     = fold_q == FoldBits'(Folds - 1);
  assign beats_d  = {beats_q, data_i};
  assign line_d   = {line_q, valid_i};
  assign winner   = key[Levels*Slots*KeyBits +: KeyBits];
  assign beat     = beats_d[Levels*BeatBits +: BeatBits];
  assign found    = line_d[Levels];
  assign logits_d = {beat, logits_q};
  assign unused   = ^{logits_d[BeatBits-1:0], key, key_q, beats_d, line_d};

  for (genvar s = 0; s < Slots; s++) begin : gen_lane
    if (s < Lanes) begin : gen_key
      logic [LogitBits-1:0] logit;
      assign logit = data_i[s*LogitBits +: LogitBits];
      assign key[s*KeyBits +: KeyBits] = {LaneBits'(s), logit ^ SignBit};
    end else begin : gen_none
      assign key[s*KeyBits +: KeyBits] = '0;
    end
  end

  for (genvar l = 1; l <= Levels; l++) begin : gen_level
    for (genvar s = 0; s < Slots; s++) begin : gen_slot
      localparam int Here  = ((l-1) * Slots + s) * KeyBits;        // in key_q
      localparam int Left  = ((l-1) * Slots + 2 * s) * KeyBits;    // in key
      localparam int Below = (Lanes + (1 << (l-1)) - 1) >> (l-1);  // slots in use below
      logic [KeyBits-1:0] chosen;
      if (2 * s + 1 < Below) begin : gen_pair
        logic [KeyBits-1:0] left, right;
        assign left   = key[Left +: KeyBits];
        assign right  = key[Left + KeyBits +: KeyBits];
        assign chosen = (right[LogitBits-1:0] > left[LogitBits-1:0]) ? right : left;
      end else if (2 * s < Below) begin : gen_single
        assign chosen = key[Left +: KeyBits];
      end else begin : gen_none
        assign chosen = '0;
      end
      always_ff @(posedge clk_i) if (advance) key_q[Here +: KeyBits] <= chosen;
      assign key[Here + Slots*KeyBits +: KeyBits] = key_q[Here +: KeyBits];
    end
  end

  if (Levels == 0) begin : gen_no_tree
    assign key_q = '0;
  end

  assign better  = fold_q == '0 || winner[LogitBits-1:0] > best_q;
  assign class_d = ClassBits'(32'(fold_q) * Lanes + ((Levels > 0) ? 32'(winner[LogitBits +: LaneBits]) : 0));

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      valid_q <= 1'b0;
      line_q  <= '0;
      fold_q  <= '0;
    end else if (advance) begin
      valid_q <= found && last;
      line_q  <= line_d[LineBits-1:0];
      if (found) fold_q <= last ? '0 : fold_q + 1'b1;
    end
  end

  always_ff @(posedge clk_i) begin
    if (advance) beats_q <= beats_d[LineBits*BeatBits-1:0];
    if (advance && found) begin
      if (better) begin
        best_q  <= winner[LogitBits-1:0];
        class_q <= class_d;
      end
      logits_q <= logits_d[LogitsBits+BeatBits-1:BeatBits];
    end
  end

  assign valid_o = valid_q;
  assign data_o  = {class_q, logits_q};

endmodule
