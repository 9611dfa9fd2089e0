// One word of one frame, wherever the solver likes: what leaves in its place is what came in.
//
// The wrapper says when the word in question comes in (arrive_i), when a word that must equal it is
// offered (offered_i), and when its frame has left (leave_i). It is asked for all words at once,
// because the place is any constant.
module tracked #(
  parameter int Bits = 8
) (
  input logic            clk_i,
  input logic            rst_ni,
  input logic            arrive_i,
  input logic [Bits-1:0] word_i,
  input logic            offered_i,
  input logic [Bits-1:0] offer_i,
  input logic            leave_i
);

  logic            known_q;
  logic [Bits-1:0] word_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || leave_i) known_q <= 1'b0;
    else if (arrive_i)      known_q <= 1'b1;
    if (arrive_i) word_q <= word_i;
  end

  // rst_ni: the first cycle resets, before it the unit holds anything
  always_comb begin
    if (rst_ni && arrive_i) assert (!known_q);  // not before the last one's frame has left
    if (rst_ni && offered_i) begin
      assert (known_q);  // nothing leaves before it came
      assert (offer_i == word_q);
    end
  end

endmodule
