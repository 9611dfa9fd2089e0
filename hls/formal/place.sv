// Place of the next word of a stream: its index in a frame of Words words, the frame modulo 2^FrameBits.
//
// A unit must hold fewer frames than that, or a word is taken for one of another frame.
module place #(
  parameter int Words     = 4,
  parameter int FrameBits = 2
) (
  input  logic                       clk_i,
  input  logic                       rst_ni,
  input  logic                       move_i,
  output logic [$clog2(Words+1)-1:0] index_o,
  output logic [FrameBits-1:0]       frame_o,
  output logic                       last_o
);

  localparam int IndexBits = $clog2(Words + 1);

  logic [IndexBits-1:0] index_q;
  logic [FrameBits-1:0] frame_q;

  assign last_o  = index_q == IndexBits'(Words - 1);
  assign index_o = index_q;
  assign frame_o = frame_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      index_q <= '0;
      frame_q <= '0;
    end else if (move_i) begin
      index_q <= last_o ? '0 : index_q + 1'b1;
      if (last_o) frame_q <= frame_q + 1'b1;
    end
  end

endmodule
