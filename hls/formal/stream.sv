// Rules of a stream, as an assumption about whoever offers or as a claim about the unit under proof.
//
// A word that was offered and not taken is offered again, the same, unless a reset came between.
module stream #(
  parameter int Bits   = 8,
  parameter int Assume = 0  // 1: the environment keeps the rule, 0: the unit must
) (
  input logic            clk_i,
  input logic            rst_ni,
  input logic            valid_i,
  input logic            ready_i,
  input logic [Bits-1:0] data_i
);

  logic            waiting_q = 1'b0;
  logic [Bits-1:0] data_q;
  logic            held;

  always_ff @(posedge clk_i) begin
    waiting_q <= rst_ni && valid_i && !ready_i;
    data_q    <= data_i;
  end

  assign held = !waiting_q || (valid_i && data_i == data_q);

  if (Assume != 0) begin : gen_assume
    always_comb assume (held);
  end else begin : gen_assert
    always_comb assert (held);
  end

endmodule
