// Products of Simd weights and inputs, summed: what one row does in one cycle.
//
// Reference    flow/ops/matvec.py
// Latency      0, combinational
// Throughput   1 row per cycle
// Stall        none: it has no handshake
module dot #(
  parameter int Simd       = 4,
  parameter int InBits     = 4,   // per input element
  parameter int InKind     = 0,   // 0 unsigned, 1 signed, 2 bipolar (bit 0 is -1)
  parameter int WeightBits = 4,   // per weight
  parameter int WeightKind = 1,   // 1 signed, 2 bipolar
  parameter int SumBits    = 10,  // wraps
  parameter int Popcount   = 0    // 1: counts agreeing bits, both sides bipolar
) (
  input  logic [Simd*InBits-1:0]     x_i,        // lane 0 in the low bits
  input  logic [Simd*WeightBits-1:0] weights_i,
  output logic [SumBits-1:0]         sum_o       // two's complement; a count is unsigned
);

  localparam int XBits       = InBits + 1;  // any input as a signed number
  localparam int ProductBits = XBits + WeightBits;

  if (Popcount != 0) begin : gen_xnor
    logic [$clog2(Simd+1)-1:0] agreeing;
    popcount #(.Bits(Simd)) u_popcount (.data_i(weights_i ~^ x_i), .count_o(agreeing));
    assign sum_o = SumBits'(agreeing);
  end else begin : gen_products
    logic signed [XBits-1:0]       value, chosen;
    logic signed [ProductBits-1:0] product;
    logic [Simd-1:0]               minus;  // Icarus 11 miscounts an expression's ones, not a net's
    logic [SumBits-1:0]            sum;
    logic                          unused;
    assign minus  = (WeightKind == 2) ? ~weights_i[Simd-1:0] : '0;
    assign unused = ^product;  // a narrow accumulator drops the high bits
    assign sum_o  = sum;
    always_comb begin
      sum = SumBits'($countones(minus));
      for (int lane = 0; lane < Simd; lane++) begin
        value = (InKind == 2) ? XBits'($signed({!x_i[lane*InBits], 1'b1}))
              : (InKind == 1) ? XBits'($signed(x_i[lane*InBits +: InBits]))
                              : $signed({1'b0, x_i[lane*InBits +: InBits]});
        // -v is ~v + 1: the ones were counted above, so a lane costs one adder and not two
        chosen  = (WeightKind == 2 && !weights_i[lane*WeightBits]) ? ~value : value;
        product = ProductBits'(chosen);
        if (WeightKind == 1) begin
          product = product * ProductBits'($signed(weights_i[lane*WeightBits +: WeightBits]));
        end
        sum = sum + SumBits'(product);
      end
    end
  end

endmodule
