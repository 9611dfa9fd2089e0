// vote.sv: how often each class came, and the first of the most frequent, by definition.
module vote_properties #(
  parameter int Classes = 2,
  parameter int InBits = 1,
  parameter int Votes = 3
) (
  input logic              clk_i,
  input logic              rst_ni,
  input logic              valid_i,
  input logic [InBits-1:0] data_i,
  input logic              ready_i
);

  localparam int ClassBits = (Classes > 1) ? $clog2(Classes) : 1;
  localparam int CountBits = $clog2(Votes + 1);
  localparam int OutBits   = ClassBits + Classes*CountBits;
  localparam int InWord = InBits, OutWord = OutBits;
  localparam int InWords = Votes, OutWords = 1;
  localparam int FrameBits = 2, Patience = 0;
  `include "ends.svh"

  always_comb assume (32'(data_i[InBits-1 -: ClassBits]) < Classes);

  vote #(
    .Classes(Classes), .InBits(InBits), .Votes(Votes)
  ) dut (
    .clk_i(clk_i), .rst_ni(rst_ni), .valid_i(valid_i), .ready_o(ready), .data_i(data_i),
    .valid_o(valid), .ready_i(ready_i), .data_o(data)
  );

  logic [Classes*CountBits-1:0] counts_q;
  logic [CountBits-1:0]         most;
  logic [ClassBits-1:0]         winner;

  arrived u_arrived (
    .clk_i(clk_i), .rst_ni(rst_ni), .whole_i(mine && in_last), .asked_i(asked), .leave_i(gone)
  );
  always_ff @(posedge clk_i) begin
    for (int c = 0; c < Classes; c++) begin
      if (mine)
        counts_q[c*CountBits +: CountBits] <=
            ((in_index == '0) ? CountBits'(0) : counts_q[c*CountBits +: CountBits])
            + CountBits'(32'(data_i[InBits-1 -: ClassBits]) == c);
    end
  end
  always_comb begin
    winner = '0;
    most   = counts_q[CountBits-1:0];
    for (int c = 1; c < Classes; c++) begin
      if (counts_q[c*CountBits +: CountBits] > most) begin
        winner = ClassBits'(c);
        most   = counts_q[c*CountBits +: CountBits];
      end
    end
    if (asked) assert (data == {winner, counts_q});
  end

endmodule
