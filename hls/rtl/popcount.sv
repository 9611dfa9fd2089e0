// Number of bits in which two words agree: the ones of data_i where shared_i is all ones.
//
// Reference    flow/ops/matvec.py, popcount form
// Latency      0, combinational
// Throughput   1 word per cycle
// Stall        none: it has no handshake
//
// Synthesis takes full adders, simulation $countones, six times as fast; tests/hls/test_popcount.py
// proves them equal. Seven pairs of bits cost nine tables of four inputs, the XNORs included: in a
// chain of full adders a sum bit is an XOR of stored bits with an XOR of shared bits, which all
// rows that look at the same shared word have in common, and the carry follows from the sum and
// one more pair.
module popcount #(
  parameter int Bits = 8  // of the word
) (
  input  logic [Bits-1:0]           data_i,
  input  logic [Bits-1:0]           shared_i,
  output logic [$clog2(Bits+1)-1:0] count_o
);

  localparam int CountBits = $clog2(Bits + 1);
  localparam int Groups    = (Bits + 6) / 7;
`ifdef SYNTHESIS
  localparam int Tree = 1;
`else
  localparam int Tree = 0;
`endif

  if (Tree == 0) begin : gen_countones
    logic [Bits-1:0] agreeing;  // Icarus 11 miscounts an expression's ones, not a net's
    assign agreeing = data_i ~^ shared_i;
    assign count_o  = CountBits'($countones(agreeing));
  end else begin : gen_tree
    logic [Bits-1:0]      inverse;
    logic [7*Groups-1:0]  d, e;  // bits beyond the word disagree
    logic [3*Groups-1:0]  counts;
    logic [CountBits-1:0] count;

    assign inverse = ~shared_i;  // a net: Yosys widens an expression before it inverts
    assign d       = (7 * Groups)'(data_i);
    assign e       = ~((7 * Groups)'(inverse));

    for (genvar g = 0; g < Groups; g++) begin : gen_group
      logic first, sum0, sum1, sum2, carry0, carry1, carry2;
      assign first  = d[7*g] ~^ e[7*g];
      assign sum0   = d[7*g] ^ d[7*g+1] ^ d[7*g+2] ^ ~(e[7*g] ^ e[7*g+1] ^ e[7*g+2]);
      assign sum1   = sum0 ^ d[7*g+3] ^ d[7*g+4] ^ (e[7*g+3] ^ e[7*g+4]);
      assign sum2   = sum1 ^ d[7*g+5] ^ d[7*g+6] ^ (e[7*g+5] ^ e[7*g+6]);
      assign carry0 = (sum0 ^ first) ? first : (d[7*g+1] ~^ e[7*g+1]);
      assign carry1 = (sum1 ^ sum0) ? sum0 : (d[7*g+3] ~^ e[7*g+3]);
      assign carry2 = (sum2 ^ sum1) ? sum1 : (d[7*g+5] ~^ e[7*g+5]);
      assign counts[3*g]   = sum2;
      assign counts[3*g+1] = carry0 ^ carry1 ^ carry2;
      assign counts[3*g+2] = (carry0 && carry1) || (carry2 && (carry0 ^ carry1));
    end

    always_comb begin
      count = '0;
      for (int g = 0; g < Groups; g++) count = count + CountBits'(counts[3*g +: 3]);
    end
    assign count_o = count;
  end

endmodule
