// Both ends of a unit with one stream in and one out: rules, places and progress.
//
// The first cycle resets; later ones may, at any time.
module ends #(
  parameter int InBits    = 8,
  parameter int OutBits   = 8,
  parameter int InWords   = 4,  // per frame
  parameter int OutWords  = 4,
  parameter int FrameBits = 2,  // frames are numbered by so many bits
  parameter int Patience  = 4   // cycles in which nothing moves although both sides would
) (
  input  logic                          clk_i,
  input  logic                          rst_ni,
  input  logic                          in_valid_i,
  input  logic                          in_ready_i,
  input  logic [InBits-1:0]             in_data_i,
  input  logic                          out_valid_i,
  input  logic                          out_ready_i,
  input  logic [OutBits-1:0]            out_data_i,
  // the next word in
  output logic                          in_o,
  output logic [$clog2(InWords+1)-1:0]  in_index_o,
  output logic [FrameBits-1:0]          in_frame_o,
  output logic                          in_last_o,
  // the next word out
  output logic                          out_o,
  output logic [$clog2(OutWords+1)-1:0] out_index_o,
  output logic [FrameBits-1:0]          out_frame_o,
  output logic                          out_last_o
);

  assign in_o  = in_valid_i && in_ready_i;
  assign out_o = out_valid_i && out_ready_i;

  start u_start (.clk_i(clk_i), .rst_ni(rst_ni));
  stream #(.Bits(InBits), .Assume(1)) u_in (
    .clk_i(clk_i), .rst_ni(rst_ni),
    .valid_i(in_valid_i), .ready_i(in_ready_i), .data_i(in_data_i)
  );
  stream #(.Bits(OutBits)) u_out (
    .clk_i(clk_i), .rst_ni(rst_ni),
    .valid_i(out_valid_i), .ready_i(out_ready_i), .data_i(out_data_i)
  );
  place #(.Words(InWords), .FrameBits(FrameBits)) u_in_place (
    .clk_i(clk_i), .rst_ni(rst_ni), .move_i(in_o),
    .index_o(in_index_o), .frame_o(in_frame_o), .last_o(in_last_o)
  );
  place #(.Words(OutWords), .FrameBits(FrameBits)) u_out_place (
    .clk_i(clk_i), .rst_ni(rst_ni), .move_i(out_o),
    .index_o(out_index_o), .frame_o(out_frame_o), .last_o(out_last_o)
  );
  progress #(.Patience(Patience)) u_progress (
    .clk_i(clk_i), .rst_ni(rst_ni),
    .willing_i(in_valid_i && out_ready_i), .moved_i(in_o || out_o)
  );

endmodule
