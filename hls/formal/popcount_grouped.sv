// The count of agreeing bits by definition, added up seven at a time.
//
// tests/formal/test_popcount.py proves popcount.sv equal to it at any width, and that counting seven
// bits and adding that count is the same as adding the bits one by one: together, that popcount.sv
// counts the agreeing bits.
module popcount_grouped #(
  parameter int Bits = 8
) (
  input  logic [Bits-1:0]           data_i,
  input  logic [Bits-1:0]           shared_i,
  output logic [$clog2(Bits+1)-1:0] count_o
);

  localparam int CountBits = $clog2(Bits + 1);
  localparam int Groups    = (Bits + 6) / 7;

  logic [7*Groups-1:0]  agreeing;
  logic [2:0]           part;
  logic [CountBits-1:0] count;

  assign agreeing = (7 * Groups)'(data_i ~^ shared_i) & ((7 * Groups)'(1) << Bits) - 1;

  always_comb begin
    count = '0;
    for (int g = 0; g < Groups; g++) begin
      part = '0;
      for (int i = 0; i < 7; i++) part = part + 3'(agreeing[7*g+i]);
      count = count + CountBits'(part);
    end
    count_o = count;
  end

endmodule
