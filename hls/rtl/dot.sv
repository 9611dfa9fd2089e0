// Products of Simd weights and inputs, summed: what one row does in one cycle.
//
// Reference    flow/ops/matvec.py
// Latency      1 cycle: sums of a few lanes are registered
// Throughput   1 row per cycle
// Stall        it has no handshake; advance_i moves its register
//
// Synthesis registers a partial sum per Group lanes, so that no clock period holds a whole tree;
// simulation registers the sum itself, which is the same one word later and costs less to compute.
module dot #(
  parameter int Simd       = 4,
  parameter int InBits     = 4,   // per input element
  parameter int InKind     = 0,   // 0 unsigned, 1 signed, 2 bipolar (bit 0 is -1)
  parameter int WeightBits = 4,   // per weight
  parameter int WeightKind = 1,   // 1 signed, 2 bipolar
  parameter int SumBits    = 10,  // wraps
  parameter int Popcount   = 0,   // 1: counts agreeing bits, both sides bipolar
  parameter int WeightLo   = -(1 << (WeightBits - 1)),  // lesser signed codes are read as this
  parameter int WeightHi   = (1 << (WeightBits - 1)) - 1  // and greater ones as this
) (
  input  logic                       clk_i,
  input  logic                       advance_i,
  input  logic [Simd*InBits-1:0]     x_i,   // lane 0 in the low bits
  input  logic [Simd*WeightBits-1:0] weights_i,
  output logic [SumBits-1:0]         sum_o  // two's complement; a count is unsigned
);

`ifdef SYNTHESIS
  localparam int Group = (Simd < 7) ? Simd : 7;  // what popcount.sv counts without an adder
`else
  localparam int Group = Simd;
`endif
  localparam int Groups      = (Simd + Group - 1) / Group;
  localparam int XBits       = InBits + 1;  // any input as a signed number
  localparam int ProductBits = XBits + WeightBits;
  localparam int ExactBits   = (Popcount != 0) ? $clog2(Group + 1) : ProductBits + $clog2(Group);
  localparam int PartBits    = (ExactBits < SumBits) ? ExactBits : SumBits;

  // signed weights as they are read; compared only with a limit that some code lies beyond
  localparam int Least = -(1 << (WeightBits - 1));
  localparam int Most  = (1 << (WeightBits - 1)) - 1;
  logic [Simd*WeightBits-1:0] read;

  if (WeightKind == 1 && (WeightLo > Least || WeightHi < Most)) begin : gen_limits
    for (genvar lane = 0; lane < Simd; lane++) begin : gen_lane
      logic signed [WeightBits-1:0] stored, raised, limited;
      assign stored = $signed(weights_i[lane*WeightBits +: WeightBits]);
      if (WeightLo > Least) begin : gen_lo
        assign raised = (32'(stored) < WeightLo) ? WeightBits'(WeightLo) : stored;
      end else begin : gen_any
        assign raised = stored;
      end
      if (WeightHi < Most) begin : gen_hi
        assign limited = (32'(raised) > WeightHi) ? WeightBits'(WeightHi) : raised;
      end else begin : gen_all
        assign limited = raised;
      end
      assign read[lane*WeightBits +: WeightBits] = limited;
    end
  end else begin : gen_stored
    assign read = weights_i;
  end

  logic [Groups*PartBits-1:0] parts_d, parts_q;
  logic [SumBits-1:0]         sum;

  for (genvar g = 0; g < Groups; g++) begin : gen_group
    localparam int Lanes = (g == Groups - 1) ? Simd - g * Group : Group;
    logic [Lanes*InBits-1:0]     x;
    logic [Lanes*WeightBits-1:0] weights;
    assign x       = x_i[g*Group*InBits +: Lanes*InBits];
    assign weights = read[g*Group*WeightBits +: Lanes*WeightBits];

    if (Popcount != 0) begin : gen_xnor
      logic [$clog2(Lanes+1)-1:0] agreeing;
      popcount #(.Bits(Lanes)) u_popcount (.data_i(weights), .shared_i(x), .count_o(agreeing));
      assign parts_d[g*PartBits +: PartBits] = PartBits'(agreeing);
    end else begin : gen_products
      logic signed [XBits-1:0]       value, chosen;
      logic signed [ProductBits-1:0] product;
      logic [Lanes-1:0]              minus;  // Icarus 11 miscounts an expression's ones
      logic [PartBits-1:0]           part;
      logic                          unused;
      assign minus  = (WeightKind == 2) ? ~weights[Lanes-1:0] : '0;
      assign unused = ^product;  // a narrow accumulator drops the high bits
      assign parts_d[g*PartBits +: PartBits] = part;
      always_comb begin
        part = PartBits'($countones(minus));
        for (int lane = 0; lane < Lanes; lane++) begin
          value = (InKind == 2) ? XBits'($signed({!x[lane*InBits], 1'b1}))
                : (InKind == 1) ? XBits'($signed(x[lane*InBits +: InBits]))
                                : $signed({1'b0, x[lane*InBits +: InBits]});
          // -v is ~v + 1: the ones were counted above, so a lane costs one adder and not two
          chosen  = (WeightKind == 2 && !weights[lane*WeightBits]) ? ~value : value;
          product = ProductBits'(chosen);
          if (WeightKind == 1) begin
            product = product * ProductBits'($signed(weights[lane*WeightBits +: WeightBits]));
          end
          part = part + PartBits'(product);
        end
      end
    end
  end

  always_ff @(posedge clk_i) if (advance_i) parts_q <= parts_d;

  always_comb begin
    sum = '0;
    for (int g = 0; g < Groups; g++) begin
      sum = sum + ((Popcount != 0) ? SumBits'(parts_q[g*PartBits +: PartBits])
                                   : SumBits'($signed(parts_q[g*PartBits +: PartBits])));
    end
  end
  assign sum_o = sum;

endmodule
