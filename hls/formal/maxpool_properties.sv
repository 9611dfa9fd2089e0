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
  input logic                    clk_i,
  input logic                    rst_ni,
  input logic                    valid_i,
  input logic [Lanes*InBits-1:0] data_i,
  input logic                    ready_i
);

  localparam int Beats     = Channels / Lanes;
  localparam int OutHeight = (Height - (KernelH - 1) * DilationH - 1) / StrideH + 1;
  localparam int OutWidth  = (Width - (KernelW - 1) * DilationW - 1) / StrideW + 1;
  localparam int InWord = Lanes*InBits, OutWord = Lanes*InBits;
  localparam int InWords = Height*Width*Beats, OutWords = OutHeight*OutWidth*Beats;
  localparam int FrameBits = 2, Patience = KernelH*KernelW + 6;
  `include "ends.svh"

  maxpool #(
    .Height(Height), .Width(Width), .Channels(Channels), .Lanes(Lanes), .InBits(InBits),
    .InKind(InKind), .KernelH(KernelH), .KernelW(KernelW), .StrideH(StrideH), .StrideW(StrideW),
    .DilationH(DilationH), .DilationW(DilationW)
  ) dut (
    .clk_i(clk_i), .rst_ni(rst_ni), .valid_i(valid_i), .ready_o(ready), .data_i(data_i),
    .valid_o(valid), .ready_i(ready_i), .data_o(data)
  );

  logic [$clog2(Lanes+1)-1:0] lane;
  logic                       hit, first, wanted;
  logic [InBits-1:0]          value, result_q;
  pooled #(
    .Height(Height), .Width(Width), .Beats(Beats), .Lanes(Lanes), .KernelH(KernelH),
    .KernelW(KernelW), .StrideH(StrideH), .StrideW(StrideW),
    .DilationH(DilationH), .DilationW(DilationW)
  ) u_pooled (
    .clk_i(clk_i), .rst_ni(rst_ni), .mine_i(mine), .in_index_i(in_index), .asked_i(asked),
    .out_index_i(out_index), .leave_i(gone), .lane_o(lane), .hit_o(hit), .first_o(first),
    .asked_o(wanted)
  );
  assign value = data_i[lane*InBits +: InBits];
  always_ff @(posedge clk_i) begin
    if (hit && (first || ((InKind == 1) ? $signed(value) > $signed(result_q)
                                        : value > result_q))) result_q <= value;
  end
  always_comb if (wanted) assert (data[lane*InBits +: InBits] == result_q);

endmodule
