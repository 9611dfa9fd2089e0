// dot.sv: the sum of products of the last words that moved, by definition.
module dot_properties #(
  parameter int Simd       = 3,
  parameter int InBits     = 2,
  parameter int InKind     = 0,
  parameter int WeightBits = 2,
  parameter int WeightKind = 1,
  parameter int SumBits    = 6,
  parameter int Popcount   = 0
) (
  input logic                       clk_i,
  input logic                       advance_i,
  input logic [Simd*InBits-1:0]     x_i,
  input logic [Simd*WeightBits-1:0] weights_i
);

  logic [SumBits-1:0]         sum, wanted;
  logic                       moved_q;
  logic [Simd*InBits-1:0]     x_q;
  logic [Simd*WeightBits-1:0] weights_q;
  logic [InBits-1:0]          code;
  logic [WeightBits-1:0]      weight;
  logic signed [31:0]         value;

  dot #(
    .Simd(Simd), .InBits(InBits), .InKind(InKind), .WeightBits(WeightBits),
    .WeightKind(WeightKind), .SumBits(SumBits), .Popcount(Popcount)
  ) dut (
    .clk_i(clk_i), .advance_i(advance_i), .x_i(x_i), .weights_i(weights_i), .sum_o(sum)
  );

  initial assume (!moved_q);
  always_ff @(posedge clk_i) if (advance_i) begin
    moved_q   <= 1'b1;
    x_q       <= x_i;
    weights_q <= weights_i;
  end

  always_comb begin
    wanted = '0;
    for (int lane = 0; lane < Simd; lane++) begin
      code   = x_q[lane*InBits +: InBits];
      weight = weights_q[lane*WeightBits +: WeightBits];
      value  = (InKind == 2) ? (code[0] ? 32'sd1 : -32'sd1)
             : (InKind == 1) ? 32'($signed(code)) : 32'(code);
      if (Popcount != 0) wanted = wanted + SumBits'(code == weight);
      else if (WeightKind == 2) wanted = weight[0] ? wanted + SumBits'(value) : wanted - SumBits'(value);
      else wanted = wanted + SumBits'(value * 32'($signed(weight)));
    end
    if (moved_q) assert (sum == wanted);
  end

endmodule
