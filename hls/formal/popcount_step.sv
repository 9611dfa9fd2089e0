// Seven bits added one by one to any count, and their own count added at once.
module popcount_step #(
  parameter int CountBits = 4  // wraps
) (
  input logic [CountBits-1:0] count_i,
  input logic [6:0]           bits_i
);

  logic [CountBits-1:0] by_ones;
  logic [2:0]           part;

  always_comb begin
    by_ones = count_i;
    part    = '0;
    for (int i = 0; i < 7; i++) begin
      by_ones = by_ones + CountBits'(bits_i[i]);
      part    = part + 3'(bits_i[i]);
    end
    assert (by_ones == count_i + CountBits'(part));
  end

endmodule
