// replay.sv: every word of every repeat.
module replay_properties #(
  parameter int Length = 2,
  parameter int Repeats = 3,
  parameter int Bits = 2
) (
  input logic              clk_i,
  input logic              rst_ni,
  input logic              valid_i,
  input logic [Bits-1:0] data_i,
  input logic              ready_i
);


  logic                          ready, valid, in, out, in_last, out_last;
  logic [Bits-1:0]             data;
  logic [$clog2(Length+1)-1:0]     in_index;
  logic [$clog2(Length*Repeats+1)-1:0]    out_index;
  logic [2-1:0]                    in_frame, out_frame;
  (* anyconst *) logic [2-1:0]     frame;

  replay #(
    .Length(Length),
    .Repeats(Repeats),
    .Bits(Bits)
  ) dut (
    .clk_i  (clk_i),
    .rst_ni (rst_ni),
    .valid_i(valid_i),
    .ready_o(ready),
    .data_i (data_i),
    .valid_o(valid),
    .ready_i(ready_i),
    .data_o (data)
  );

  ends #(
    .InBits(Bits), .OutBits(Bits), .InWords(Length), .OutWords(Length*Repeats), .FrameBits(2),
    .Patience(1)
  ) u_ends (
    .clk_i(clk_i), .rst_ni(rst_ni),
    .in_valid_i(valid_i), .in_ready_i(ready), .in_data_i(data_i),
    .out_valid_i(valid), .out_ready_i(ready_i), .out_data_i(data),
    .in_o(in), .in_index_o(in_index), .in_frame_o(in_frame), .in_last_o(in_last),
    .out_o(out), .out_index_o(out_index), .out_frame_o(out_frame), .out_last_o(out_last)
  );

  logic [$clog2(Length+1)-1:0] word;
  place #(.Words(Length)) u_word (
    .clk_i(clk_i), .rst_ni(rst_ni), .move_i(out), .index_o(word), .frame_o(), .last_o()
  );
  (* anyconst *) logic [$clog2(Length+1)-1:0] index;
  tracked #(.Bits(Bits)) u_tracked (
    .clk_i(clk_i), .rst_ni(rst_ni),
    .arrive_i(in && in_frame == frame && in_index == index), .word_i(data_i),
    .offered_i(valid && out_frame == frame && word == index), .offer_i(data),
    .leave_i(out && out_last && out_frame == frame)
  );

endmodule
