// window.sv: every word of every window.
module window_properties #(
  parameter int Height = 3,
  parameter int Width = 3,
  parameter int Channels = 1,
  parameter int Lanes = 1,
  parameter int Bits = 1,
  parameter int KernelH = 2,
  parameter int KernelW = 2,
  parameter int StrideH = 1,
  parameter int StrideW = 1,
  parameter int DilationH = 1,
  parameter int DilationW = 1,
  parameter int Groups = 1
) (
  input logic                  clk_i,
  input logic                  rst_ni,
  input logic                  valid_i,
  input logic [Lanes*Bits-1:0] data_i,
  input logic                  ready_i
);

  localparam int Beats      = Channels / Lanes;
  localparam int GroupBeats = Beats / Groups;
  localparam int OutHeight  = (Height - (KernelH - 1) * DilationH - 1) / StrideH + 1;
  localparam int OutWidth   = (Width - (KernelW - 1) * DilationW - 1) / StrideW + 1;
  localparam int InWord = Lanes*Bits, OutWord = Lanes*Bits;
  localparam int InWords = Height*Width*Beats, OutWords = OutHeight*OutWidth*KernelH*KernelW*Beats;
  localparam int FrameBits = 2, Patience = 1;
  `include "ends.svh"

  window #(
    .Height(Height), .Width(Width), .Channels(Channels), .Lanes(Lanes), .Bits(Bits),
    .KernelH(KernelH), .KernelW(KernelW), .StrideH(StrideH), .StrideW(StrideW),
    .DilationH(DilationH), .DilationW(DilationW), .Groups(Groups)
  ) dut (
    .clk_i(clk_i), .rst_ni(rst_ni), .valid_i(valid_i), .ready_o(ready), .data_i(data_i),
    .valid_o(valid), .ready_i(ready_i), .data_o(data)
  );

  // the word's place: (row, column, group, kh, kw, word of the group), the last one fastest
  logic [$clog2(OutHeight+1)-1:0]  row;
  logic [$clog2(OutWidth+1)-1:0]   column;
  logic [$clog2(Groups+1)-1:0]     group;
  logic [$clog2(KernelH+1)-1:0]    kh;
  logic [$clog2(KernelW+1)-1:0]    kw;
  logic [$clog2(GroupBeats+1)-1:0] beat;
  logic [7:0]                      y, x, b;
  logic       column_last, group_last, kh_last, kw_last, beat_last;
  assign beat_last = 32'(beat) == GroupBeats - 1;
  assign kw_last   = beat_last && 32'(kw) == KernelW - 1;
  assign kh_last   = kw_last && 32'(kh) == KernelH - 1;
  assign group_last = kh_last && 32'(group) == Groups - 1;
  assign column_last = group_last && 32'(column) == OutWidth - 1;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      {row, column, group, kh, kw, beat} <= '0;
    end else if (out) begin
      beat <= beat_last ? '0 : beat + 1'b1;
      if (beat_last) kw <= kw_last ? '0 : kw + 1'b1;
      if (kw_last) kh <= kh_last ? '0 : kh + 1'b1;
      if (kh_last) group <= group_last ? '0 : group + 1'b1;
      if (group_last) column <= column_last ? '0 : column + 1'b1;
      if (column_last) row <= out_last ? '0 : row + 1'b1;
    end
  end
  assign y = 8'(row) * 8'(StrideH) + 8'(kh) * 8'(DilationH);
  assign x = 8'(column) * 8'(StrideW) + 8'(kw) * 8'(DilationW);
  assign b = 8'(group) * 8'(GroupBeats) + 8'(beat);

  (* anyconst *) logic [$clog2(Height*Width*Beats+1)-1:0] index;
  tracked #(.Bits(Lanes*Bits)) u_tracked (
    .clk_i(clk_i), .rst_ni(rst_ni),
    .arrive_i(mine && in_index == index), .word_i(data_i),
    .offered_i(asked && (y * 8'(Width) + x) * 8'(Beats) + b == 8'(index)), .offer_i(data),
    .leave_i(gone)
  );

endmodule
