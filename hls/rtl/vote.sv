// Class counters: one result per Votes words of an argmax, {winner, counts}.
//
// Reference    numpy.bincount of the classes; the smallest class wins a tie (argmax)
// Latency      1 cycle after the last vote
// Throughput   1 vote per cycle, Votes cycles per result, no gap between results
// Stall        ready_o falls only while a result waits on ready_i; no bubble on release
//
// The result has the layout of argmax's: counts in place of logits, class 0's in the low bits. A
// count grows by one vote at a time, so the leader changes only to the class just voted for, and
// no search for the largest count is needed.
module vote #(
  parameter int Classes = 10,
  parameter int InBits  = 16,  // of a word, the class in its top bits
  parameter int Votes   = 100
) (
  input  logic              clk_i,
  input  logic              rst_ni,  // synchronous, active low
  // a class on top, the rest is not read
  input  logic              valid_i,
  output logic              ready_o,
  input  logic [InBits-1:0] data_i,
  // winner above the counts, class 0's count in the low bits
  output logic              valid_o,
  input  logic              ready_i,
  output logic [((Classes > 1) ? $clog2(Classes) : 1) + Classes*$clog2(Votes+1) - 1:0] data_o
);

  localparam int ClassBits = (Classes > 1) ? $clog2(Classes) : 1;
  localparam int CountBits = $clog2(Votes + 1);

  initial if (Votes < 1 || InBits < ClassBits) begin
    $fatal(1, "%m: Votes=%0d must be positive and InBits=%0d hold a class", Votes, InBits);
  end

  logic                         valid_q, advance, take, first, last, leads;
  logic [CountBits-1:0]         voted_q, own, most_q, most_d;
  logic [ClassBits-1:0]         chosen, best_q, best_d;
  logic [Classes*CountBits-1:0] counts_q, counts_d, result_q;
  logic [ClassBits-1:0]         winner_q;
  logic                         unused;

  assign advance = !valid_q || ready_i;
  assign take    = valid_i && advance;
  assign ready_o = advance;
  assign chosen = data_i[InBits-1 -: ClassBits];
  assign unused  = ^data_i;
  assign first   = voted_q == '0;
  assign last    = voted_q == CountBits'(Votes - 1);

  for (genvar c = 0; c < Classes; c++) begin : gen_class
    logic [CountBits-1:0] held;
    assign held = first ? '0 : counts_q[c*CountBits +: CountBits];
    assign counts_d[c*CountBits +: CountBits] =
        held + CountBits'(chosen == ClassBits'(c));
  end

  assign own    = counts_d[32'(chosen)*CountBits +: CountBits];
  assign leads  = first || own > most_q || (own == most_q && chosen < best_q);
  assign most_d = leads ? own : most_q;
  assign best_d = leads ? chosen : best_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      valid_q <= 1'b0;
      voted_q <= '0;
    end else if (advance) begin
      valid_q <= take && last;
      if (take) voted_q <= last ? '0 : voted_q + 1'b1;
    end
  end

  always_ff @(posedge clk_i) begin
    if (take) begin
      counts_q <= counts_d;
      most_q   <= most_d;
      best_q   <= best_d;
      if (last) begin
        result_q <= counts_d;
        winner_q <= best_d;
      end
    end
  end

  assign valid_o = valid_q;
  assign data_o  = {winner_q, result_q};

endmodule
