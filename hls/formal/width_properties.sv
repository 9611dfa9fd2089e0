// width.sv: every element of every word, in order.
module width_properties #(
  parameter int InLanes = 2,
  parameter int OutLanes = 4,
  parameter int Bits = 1
) (
  input logic              clk_i,
  input logic              rst_ni,
  input logic              valid_i,
  input logic [InLanes*Bits-1:0] data_i,
  input logic              ready_i
);

  localparam int Frame = (InLanes > OutLanes) ? InLanes : OutLanes;

  logic                          ready, valid, in, out, in_last, out_last;
  logic [OutLanes*Bits-1:0]             data;
  logic [$clog2(Frame/InLanes+1)-1:0]     in_index;
  logic [$clog2(Frame/OutLanes+1)-1:0]    out_index;
  logic [2-1:0]                    in_frame, out_frame;
  (* anyconst *) logic [2-1:0]     frame;

  width #(
    .InLanes(InLanes),
    .OutLanes(OutLanes),
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
    .InBits(InLanes*Bits), .OutBits(OutLanes*Bits), .InWords(Frame/InLanes), .OutWords(Frame/OutLanes), .FrameBits(2),
    .Patience(1)
  ) u_ends (
    .clk_i(clk_i), .rst_ni(rst_ni),
    .in_valid_i(valid_i), .in_ready_i(ready), .in_data_i(data_i),
    .out_valid_i(valid), .out_ready_i(ready_i), .out_data_i(data),
    .in_o(in), .in_index_o(in_index), .in_frame_o(in_frame), .in_last_o(in_last),
    .out_o(out), .out_index_o(out_index), .out_frame_o(out_frame), .out_last_o(out_last)
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
      .arrive_i(in && in_frame == frame && 8'(in_index) == in_word),
      .word_i(data_i[in_lane*Bits +: Bits]),
      .offered_i(valid && out_frame == frame && 8'(out_index) == out_word),
      .offer_i(data[out_lane*Bits +: Bits]),
      .leave_i(out && out_last && out_frame == frame)
    );
  end

endmodule
