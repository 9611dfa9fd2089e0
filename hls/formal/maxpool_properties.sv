// maxpool.sv: the largest value of every window, by definition.
module maxpool_properties #(
  parameter int Height = 2,
  parameter int Width = 4,
  parameter int Channels = 1,
  parameter int Lanes = 1,
  parameter int InBits = 2,
  parameter int InKind = 0,
  parameter int KernelH = 2,
  parameter int KernelW = 2,
  parameter int StrideH = 2,
  parameter int StrideW = 2,
  parameter int DilationH = 1,
  parameter int DilationW = 1
) (
  input logic              clk_i,
  input logic              rst_ni,
  input logic              valid_i,
  input logic [Lanes*InBits-1:0] data_i,
  input logic              ready_i
);

  localparam int Beats     = Channels / Lanes;
  localparam int OutHeight = (Height - (KernelH - 1) * DilationH - 1) / StrideH + 1;
  localparam int OutWidth  = (Width - (KernelW - 1) * DilationW - 1) / StrideW + 1;

  logic                          ready, valid, in, out, in_last, out_last;
  logic [Lanes*InBits-1:0]             data;
  logic [$clog2(Height*Width*Beats+1)-1:0]     in_index;
  logic [$clog2(OutHeight*OutWidth*Beats+1)-1:0]    out_index;
  logic [2-1:0]                    in_frame, out_frame;
  (* anyconst *) logic [2-1:0]     frame;

  maxpool #(
    .Height(Height),
    .Width(Width),
    .Channels(Channels),
    .Lanes(Lanes),
    .InBits(InBits),
    .InKind(InKind),
    .KernelH(KernelH),
    .KernelW(KernelW),
    .StrideH(StrideH),
    .StrideW(StrideW),
    .DilationH(DilationH),
    .DilationW(DilationW)
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
    .InBits(Lanes*InBits), .OutBits(Lanes*InBits), .InWords(Height*Width*Beats), .OutWords(OutHeight*OutWidth*Beats), .FrameBits(2),
    .Patience(KernelH*KernelW + 6)
  ) u_ends (
    .clk_i(clk_i), .rst_ni(rst_ni),
    .in_valid_i(valid_i), .in_ready_i(ready), .in_data_i(data_i),
    .out_valid_i(valid), .out_ready_i(ready_i), .out_data_i(data),
    .in_o(in), .in_index_o(in_index), .in_frame_o(in_frame), .in_last_o(in_last),
    .out_o(out), .out_index_o(out_index), .out_frame_o(out_frame), .out_last_o(out_last)
  );

  // one lane of one window of one frame, taken up as its words arrive
  (* anyconst *) logic [$clog2(OutHeight+1)-1:0] row;
  (* anyconst *) logic [$clog2(OutWidth+1)-1:0]  column;
  (* anyconst *) logic [$clog2(Beats+1)-1:0]     beat;
  (* anyconst *) logic [$clog2(Lanes+1)-1:0]     lane;
  logic [$clog2(KernelH*KernelW+1)-1:0]          seen_q;
  logic [7:0]                                    y, x, b;
  logic                      hit;
  logic [InBits-1:0]         code;
  logic [InBits-1:0]        value, result_q;
  always_comb assume (32'(row) < OutHeight && 32'(column) < OutWidth && 32'(beat) < Beats
                      && 32'(lane) < Lanes);

  assign b = 8'(in_index) % 8'(Beats);
  assign x = 8'(in_index) / 8'(Beats) % 8'(Width);
  assign y = 8'(in_index) / 8'(Beats * Width);
  always_comb begin
    hit = 1'b0;
    for (int kh = 0; kh < KernelH; kh++) begin
      for (int kw = 0; kw < KernelW; kw++) begin
        if (y == 8'(row) * 8'(StrideH) + 8'(kh * DilationH) && x == 8'(column) * 8'(StrideW) + 8'(kw * DilationW)
            && b == 8'(beat)) hit = in && in_frame == frame;
      end
    end
  end
  assign code  = data_i[lane*InBits +: InBits];
  assign value = code;
  always_ff @(posedge clk_i) begin
    if (hit && (seen_q == '0 || ((InKind == 1) ? $signed(value) > $signed(result_q)
                                               : value > result_q))) result_q <= value;
  end
  always_ff @(posedge clk_i) begin
    if (!rst_ni || (out && out_last && out_frame == frame)) seen_q <= '0;
    else if (hit) seen_q <= seen_q + 1'b1;
  end
  always_comb begin
    if (rst_ni && valid && out_frame == frame
        && 8'(out_index) == (8'(row) * 8'(OutWidth) + 8'(column)) * 8'(Beats) + 8'(beat)) begin
      assert (32'(seen_q) == KernelH * KernelW);  // nothing leaves before its window came
      assert (data[lane*InBits +: InBits] == result_q);
    end
  end

endmodule
