// Number of ones in a word.
//
// Reference    flow/ops/matvec.py, popcount form
// Latency      0, combinational
// Throughput   1 word per cycle
// Stall        none: it has no handshake
module popcount #(
  parameter int Bits = 8  // of the word
) (
  input  logic [Bits-1:0]             data_i,
  output logic [$clog2(Bits+1)-1:0] count_o
);

  assign count_o = ($clog2(Bits + 1))'($countones(data_i));

endmodule
