// replay.sv: every word of every repeat.
module replay_properties #(
  parameter int Length = 2,
  parameter int Repeats = 3,
  parameter int Bits = 2
) (
  input logic            clk_i,
  input logic            rst_ni,
  input logic            valid_i,
  input logic [Bits-1:0] data_i,
  input logic            ready_i
);

  localparam int InWord = Bits, OutWord = Bits;
  localparam int InWords = Length, OutWords = Length*Repeats;
  localparam int FrameBits = 2, Patience = 1;
  `include "ends.svh"

  replay #(
    .Length(Length), .Repeats(Repeats), .Bits(Bits)
  ) dut (
    .clk_i(clk_i), .rst_ni(rst_ni), .valid_i(valid_i), .ready_o(ready), .data_i(data_i),
    .valid_o(valid), .ready_i(ready_i), .data_o(data)
  );

  logic [$clog2(Length+1)-1:0] word;
  place #(.Words(Length)) u_word (
    .clk_i(clk_i), .rst_ni(rst_ni), .move_i(out), .index_o(word), .frame_o(), .last_o()
  );
  (* anyconst *) logic [$clog2(Length+1)-1:0] index;
  tracked #(.Bits(Bits)) u_tracked (
    .clk_i(clk_i), .rst_ni(rst_ni),
    .arrive_i(mine && in_index == index), .word_i(data_i),
    .offered_i(asked && word == index), .offer_i(data),
    .leave_i(gone)
  );

endmodule
