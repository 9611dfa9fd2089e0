// Signals of which some are 0 when active, from or to a board's pins.
//
// Reference    the boards' constraint files
// Latency      0
// Throughput   not a stream
// Stall        none
module polarity #(
  parameter int            Bits      = 8,
  parameter bit [Bits-1:0] ActiveLow = '0  // 1: this signal is inverted
) (
  input  logic [Bits-1:0] data_i,
  output logic [Bits-1:0] data_o
);

  assign data_o = data_i ^ ActiveLow;

endmodule
