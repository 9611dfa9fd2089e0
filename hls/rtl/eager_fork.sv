// Fork: every word goes to all outputs, to each as soon as it is ready.
//
// Reference    the same words for every consumer, in the same order
// Latency      0: an output offers a word in the cycle in which the input does
// Throughput   1 word per cycle
// Stall        a word leaves the input once its last consumer takes it; the others wait for no one
//
// No output's valid depends on any ready of the same cycle, so forks and joins make no loop.
module eager_fork #(
  parameter int Outputs = 2,
  parameter int Bits    = 8  // per word
) (
  input  logic               clk_i,
  input  logic               rst_ni,  // synchronous, active low
  // in
  input  logic               valid_i,
  output logic               ready_o,
  input  logic [Bits-1:0]    data_i,
  // out: one handshake per consumer, one word for all
  output logic [Outputs-1:0] valid_o,
  input  logic [Outputs-1:0] ready_i,
  output logic [Bits-1:0]    data_o
);

  initial if (Outputs < 1) $fatal(1, "%m: Outputs=%0d must be positive", Outputs);

  logic [Outputs-1:0] taken_q;  // consumers that already have the word offered

  assign valid_o = {Outputs{valid_i}} & ~taken_q;
  assign ready_o = &(taken_q | ready_i);
  assign data_o  = data_i;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) taken_q <= '0;
    else if (valid_i) taken_q <= ready_o ? '0 : (taken_q | ready_i);
  end

endmodule
