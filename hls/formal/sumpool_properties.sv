// sumpool.sv: the sum of every window, by definition.
module sumpool_properties #(
  parameter int Height = 2,
  parameter int Width = 4,
  parameter int Channels = 1,
  parameter int Lanes = 1,
  parameter int InBits = 2,
  parameter int InKind = 0,
  parameter int AccBits = 3,
  parameter int KernelH = 2,
  parameter int KernelW = 2,
  parameter int StrideH = 2,
  parameter int StrideW = 2
) (
  input logic                    clk_i,
  input logic                    rst_ni,
  input logic                    valid_i,
  input logic [Lanes*InBits-1:0] data_i,
  input logic                    ready_i
);

  localparam int Beats     = Channels / Lanes;
  localparam int OutHeight = (Height - KernelH) / StrideH + 1;
  localparam int OutWidth  = (Width - KernelW) / StrideW + 1;
  localparam int InWord = Lanes*InBits, OutWord = Lanes*AccBits;
  localparam int InWords = Height*Width*Beats, OutWords = OutHeight*OutWidth*Beats;
  localparam int FrameBits = 2, Patience = KernelH*KernelW + 6;
  `include "ends.svh"

  sumpool #(
    .Height(Height), .Width(Width), .Channels(Channels), .Lanes(Lanes), .InBits(InBits),
    .InKind(InKind), .AccBits(AccBits), .KernelH(KernelH), .KernelW(KernelW), .StrideH(StrideH),
    .StrideW(StrideW)
  ) dut (
    .clk_i(clk_i), .rst_ni(rst_ni), .valid_i(valid_i), .ready_o(ready), .data_i(data_i),
    .valid_o(valid), .ready_i(ready_i), .data_o(data)
  );

  logic [$clog2(Lanes+1)-1:0] lane;
  logic                       hit, first, wanted;
  logic [InBits-1:0]          code;
  logic [AccBits-1:0]         value, result_q;
  pooled #(
    .Height(Height), .Width(Width), .Beats(Beats), .Lanes(Lanes), .KernelH(KernelH),
    .KernelW(KernelW), .StrideH(StrideH), .StrideW(StrideW)
  ) u_pooled (
    .clk_i(clk_i), .rst_ni(rst_ni), .mine_i(mine), .in_index_i(in_index), .asked_i(asked),
    .out_index_i(out_index), .leave_i(gone), .lane_o(lane), .hit_o(hit), .first_o(first),
    .asked_o(wanted)
  );
  assign code  = data_i[lane*InBits +: InBits];
  assign value = (InKind == 2) ? (code[0] ? AccBits'(1) : {AccBits{1'b1}})
               : (InKind == 1) ? AccBits'($signed(code)) : AccBits'(code);
  always_ff @(posedge clk_i) if (hit) result_q <= first ? value : result_q + value;
  always_comb if (wanted) assert (data[lane*AccBits +: AccBits] == result_q);

endmodule
