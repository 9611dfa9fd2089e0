// width.sv: every element of every word, in order.
module width_properties #(
  parameter int InLanes = 2,
  parameter int OutLanes = 4,
  parameter int Bits = 1
) (
  input logic                    clk_i,
  input logic                    rst_ni,
  input logic                    valid_i,
  input logic [InLanes*Bits-1:0] data_i,
  input logic                    ready_i
);

  localparam int Frame = (InLanes > OutLanes) ? InLanes : OutLanes;
  localparam int InWord = InLanes*Bits, OutWord = OutLanes*Bits;
  localparam int InWords = Frame/InLanes, OutWords = Frame/OutLanes;
  localparam int FrameBits = 2, Patience = 1;
  `include "ends.svh"

  width #(
    .InLanes(InLanes), .OutLanes(OutLanes), .Bits(Bits)
  ) dut (
    .clk_i(clk_i), .rst_ni(rst_ni), .valid_i(valid_i), .ready_o(ready), .data_i(data_i),
    .valid_o(valid), .ready_i(ready_i), .data_o(data)
  );

  if (InLanes == OutLanes) begin : gen_wire
    always_comb assert (valid == valid_i && ready == ready_i && data == data_i);
  end else begin : gen_convert
    // an element's word and lane, at both ends
    (* anyconst *) logic [7:0] in_word, in_lane, out_word, out_lane;
    always_comb assume (in_word < 8'(Frame / InLanes) && in_lane < 8'(InLanes)
                        && out_word < 8'(Frame / OutLanes) && out_lane < 8'(OutLanes)
                        && in_word * 8'(InLanes) + in_lane == out_word * 8'(OutLanes) + out_lane);
    tracked #(.Bits(Bits)) u_tracked (
      .clk_i(clk_i), .rst_ni(rst_ni),
      .arrive_i(mine && 8'(in_index) == in_word),
      .word_i(data_i[in_lane*Bits +: Bits]),
      .offered_i(asked && 8'(out_index) == out_word),
      .offer_i(data[out_lane*Bits +: Bits]),
      .leave_i(gone)
    );
  end

endmodule
