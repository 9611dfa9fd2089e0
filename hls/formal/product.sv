// The product of a row of weights with a vector, term by term, as it is defined.
module product #(
  parameter int Terms      = 4,
  parameter int InBits     = 4,
  parameter int InKind     = 0,  // 0 unsigned, 1 signed, 2 bipolar (bit 0 is -1)
  parameter int WeightBits = 4,
  parameter int WeightKind = 1,
  parameter int Popcount   = 0   // 1: how many codes are equal
) (
  input  logic [Terms*InBits-1:0]     codes_i,
  input  logic [Terms*WeightBits-1:0] weights_i,
  output logic signed [31:0]          sum_o
);

  logic [InBits-1:0]     code;
  logic [WeightBits-1:0] weight;
  logic signed [31:0]    value;

  always_comb begin
    sum_o = '0;
    for (int term = 0; term < Terms; term++) begin
      code   = codes_i[term*InBits +: InBits];
      weight = weights_i[term*WeightBits +: WeightBits];
      value  = (InKind == 2) ? (code[0] ? 32'sd1 : -32'sd1)
             : (InKind == 1) ? 32'($signed(code)) : 32'(code);
      if (Popcount != 0) sum_o = sum_o + ((code == weight) ? 32'sd1 : 32'sd0);
      else if (WeightKind == 2) sum_o = weight[0] ? sum_o + value : sum_o - value;
      else sum_o = sum_o + value * 32'($signed(weight));
    end
  end

endmodule
