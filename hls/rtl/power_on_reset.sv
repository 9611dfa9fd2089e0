// Reset after configuration and while a button is held; released synchronously.
//
// Reference    docs/uart-protocol.md
// Latency      rst_no rises 2**CountBits cycles after power-up, or after the button is let go
// Throughput   not a stream
// Stall        none
//
// It relies on the initial values of flip-flops, which the bitstream loads on an FPGA; it is not
// meant for a device without them. The counter also hides the bouncing of the button's contact.
module power_on_reset #(
  parameter int CountBits = 6
) (
  input  logic clk_i,
  input  logic button_i,  // asynchronous, 1 while pressed
  output logic rst_no     // synchronous, active low
);

  logic                 meta_q, button_q, released_q;
  logic [CountBits-1:0] count_q;

  initial begin
    meta_q     = 1'b0;
    button_q   = 1'b0;
    released_q = 1'b0;
    count_q    = '0;
  end

  assign rst_no = released_q;

  always_ff @(posedge clk_i) begin
    meta_q   <= button_i;
    button_q <= meta_q;
    if (button_q)         count_q <= '0;
    else if (!released_q) count_q <= count_q + 1'b1;
    released_q <= !button_q && (released_q || &count_q);
  end

endmodule
