// What a wrapper of a unit with one stream in and one out begins with: the unit's streams, the
// place of the next word at both ends (ends.sv), and one frame, any, which the wrapper's own
// properties ask about. The wrapper has clk_i, rst_ni, valid_i, data_i and ready_i, and says in front
//   InWord, OutWord    bits of a word
//   InWords, OutWords  words of a frame
//   FrameBits          frames are numbered by so many bits
//   Patience           cycles in which nothing moves although both sides would
  logic                          ready, valid;       // what the unit answers
  logic [OutWord-1:0]            data;
  logic                          in, in_last, out, out_last;
  logic [$clog2(InWords+1)-1:0]  in_index;
  logic [$clog2(OutWords+1)-1:0] out_index;
  logic [FrameBits-1:0]          in_frame, out_frame;
  (* anyconst *) logic [FrameBits-1:0] frame;
  logic                          mine, asked, gone;  // a word of it comes, is offered; it has left

  ends #(
    .InBits(InWord), .OutBits(OutWord), .InWords(InWords), .OutWords(OutWords),
    .FrameBits(FrameBits), .Patience(Patience)
  ) u_ends (
    .clk_i(clk_i), .rst_ni(rst_ni),
    .in_valid_i(valid_i), .in_ready_i(ready), .in_data_i(data_i),
    .out_valid_i(valid), .out_ready_i(ready_i), .out_data_i(data),
    .in_o(in), .in_index_o(in_index), .in_frame_o(in_frame), .in_last_o(in_last),
    .out_o(out), .out_index_o(out_index), .out_frame_o(out_frame), .out_last_o(out_last)
  );

  assign mine  = in && in_frame == frame;
  assign asked = rst_ni && valid && out_frame == frame;
  assign gone  = out && out_last && out_frame == frame;
