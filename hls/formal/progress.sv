// Someone moves: with a word offered and a reader ready, at most Patience cycles pass in which no
// word enters and none leaves.
module progress #(
  parameter int Patience = 4
) (
  input logic clk_i,
  input logic rst_ni,
  input logic willing_i,  // every producer offers and every consumer is ready
  input logic moved_i
);

  localparam int CountBits = $clog2(Patience + 2);

  logic [CountBits-1:0] idle_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || !willing_i || moved_i) idle_q <= '0;
    else                                  idle_q <= idle_q + 1'b1;
  end
  always_comb if (rst_ni) assert (idle_q <= CountBits'(Patience));

endmodule
