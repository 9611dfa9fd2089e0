// Nothing leaves before it came: a result is offered only when all that it depends on has arrived.
module arrived (
  input logic clk_i,
  input logic rst_ni,
  input logic whole_i,  // the last word that the result depends on comes in
  input logic asked_i,  // the result is offered
  input logic leave_i   // and taken
);

  logic known_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || leave_i) known_q <= 1'b0;
    else if (whole_i)       known_q <= 1'b1;
  end

  // rst_ni: the first cycle resets, before it the unit holds anything
  always_comb if (rst_ni && asked_i) assert (known_q);

endmodule
