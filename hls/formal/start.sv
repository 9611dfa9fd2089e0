// The first cycle resets; later ones may, at any time.
module start (
  input logic clk_i,
  input logic rst_ni
);

  logic begun_q = 1'b0;

  always_ff @(posedge clk_i) begun_q <= 1'b1;
  always_comb assume (begun_q || !rst_ni);

endmodule
