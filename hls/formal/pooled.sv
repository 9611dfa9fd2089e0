// One lane of one window of one frame, wherever the solver likes, as its words arrive.
//
// It is asked for all windows at once, because the place is any constant. That the window has come
// when its result is offered is claimed here, what the result is by the wrapper.
module pooled #(
  parameter int Height    = 4,
  parameter int Width     = 4,
  parameter int Beats     = 1,   // of a pixel
  parameter int Lanes     = 1,
  parameter int KernelH   = 2,
  parameter int KernelW   = 2,
  parameter int StrideH   = 2,
  parameter int StrideW   = 2,
  parameter int DilationH = 1,
  parameter int DilationW = 1,
  parameter int InWords   = Height * Width * Beats,
  parameter int OutHeight = (Height - (KernelH - 1) * DilationH - 1) / StrideH + 1,
  parameter int OutWidth  = (Width - (KernelW - 1) * DilationW - 1) / StrideW + 1,
  parameter int OutWords  = OutHeight * OutWidth * Beats
) (
  input  logic                          clk_i,
  input  logic                          rst_ni,
  input  logic                          mine_i,       // a word of the frame comes in
  input  logic [$clog2(InWords+1)-1:0]  in_index_i,
  input  logic                          asked_i,      // one of its results is offered
  input  logic [$clog2(OutWords+1)-1:0] out_index_i,
  input  logic                          leave_i,      // the frame has left
  output logic [$clog2(Lanes+1)-1:0]    lane_o,
  output logic                          hit_o,        // a word of the window comes in
  output logic                          first_o,      // the first one
  output logic                          asked_o       // the result of the window is offered
);

  (* anyconst *) logic [$clog2(OutHeight+1)-1:0] row;
  (* anyconst *) logic [$clog2(OutWidth+1)-1:0]  column;
  (* anyconst *) logic [$clog2(Beats+1)-1:0]     beat;
  (* anyconst *) logic [$clog2(Lanes+1)-1:0]     lane;
  logic [$clog2(KernelH*KernelW+1)-1:0] seen_q;
  logic [7:0]                           y, x, b;

  always_comb assume (32'(row) < OutHeight && 32'(column) < OutWidth && 32'(beat) < Beats
                      && 32'(lane) < Lanes);

  assign b = 8'(in_index_i) % 8'(Beats);
  assign x = 8'(in_index_i) / 8'(Beats) % 8'(Width);
  assign y = 8'(in_index_i) / 8'(Beats * Width);
  always_comb begin
    hit_o = 1'b0;
    for (int kh = 0; kh < KernelH; kh++) begin
      for (int kw = 0; kw < KernelW; kw++) begin
        if (y == 8'(row) * 8'(StrideH) + 8'(kh * DilationH)
            && x == 8'(column) * 8'(StrideW) + 8'(kw * DilationW) && b == 8'(beat)) hit_o = mine_i;
      end
    end
  end
  assign lane_o  = lane;
  assign first_o = seen_q == '0;
  assign asked_o = asked_i && 8'(out_index_i)
                   == (8'(row) * 8'(OutWidth) + 8'(column)) * 8'(Beats) + 8'(beat);

  always_ff @(posedge clk_i) begin
    if (!rst_ni || leave_i) seen_q <= '0;
    else if (hit_o)         seen_q <= seen_q + 1'b1;
  end
  always_comb if (rst_ni && asked_o) assert (32'(seen_q) == KernelH * KernelW);

endmodule
