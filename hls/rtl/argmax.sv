// Class with the largest logit, beside all logits of the vector.
//
// Reference    flow/ops/argmax.py, bit-exact: the smallest index wins a tie
// Latency      1 cycle after the last beat of a vector
// Throughput   1 beat per cycle, Classes / Lanes beats per vector
// Stall        ready_o falls only while a result waits on ready_i; no bubble on release
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

  logic                           valid_q;
  logic [FoldBits-1:0]            fold_q;
  logic [ClassBits-1:0]           class_d, class_q;
  logic signed [LogitBits:0]      best_d, best_q, logit;
  logic [LogitsBits+BeatBits-1:0] logits_d;  // the oldest beat falls out below
  logic [LogitsBits-1:0]          logits_q;
  logic                           take, last;
  logic                           unused;

  assign ready_o  = !valid_q || ready_i;
  assign take     = valid_i && ready_o;
  assign last     = fold_q == FoldBits'(Folds - 1);
  assign logits_d = {data_i, logits_q};
  assign unused   = ^logits_d[BeatBits-1:0];

  always_comb begin
    best_d  = best_q;
    class_d = class_q;
    for (int lane = 0; lane < Lanes; lane++) begin
      logit = (LogitSigned != 0)
            ? (LogitBits + 1)'($signed(data_i[lane*LogitBits +: LogitBits]))
            : $signed({1'b0, data_i[lane*LogitBits +: LogitBits]});
      if ((lane == 0 && fold_q == '0) || logit > best_d) begin
        best_d  = logit;
        class_d = ClassBits'(32'(fold_q) * Lanes + lane);
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      valid_q <= 1'b0;
      fold_q  <= '0;
    end else begin
      if (ready_o) valid_q <= valid_i && last;
      if (take) fold_q <= last ? '0 : fold_q + 1'b1;
    end
  end

  always_ff @(posedge clk_i) begin
    if (take) begin
      best_q   <= best_d;
      class_q  <= class_d;
      logits_q <= logits_d[LogitsBits+BeatBits-1:BeatBits];
    end
  end

  assign valid_o = valid_q;
  assign data_o  = {class_q, logits_q};

endmodule
