// Exact sum of each window, per channel.
//
// Reference    flow/ops/pool.py, SumPool, bit-exact
// Latency      2 cycles after the last word of a window has arrived, or as window.sv + 2
// Throughput   windows apart: Height * Width * Channels / Lanes cycles per frame; else as window.sv
// Stall        ready_o falls only while a result waits on ready_i, or as in window.sv
//
// An average is this sum followed by a threshold that divides and rounds.
module sumpool #(
  parameter int Height   = 4,
  parameter int Width    = 4,
  parameter int Channels = 4,
  parameter int Lanes    = 2,   // elements per word, divides Channels
  parameter int InBits   = 8,   // per element
  parameter int InKind   = 0,   // 0 unsigned, 1 signed, 2 bipolar (bit 0 is -1)
  parameter int AccBits  = 10,  // per sum, wraps
  parameter int KernelH  = 2,
  parameter int KernelW  = 2,
  parameter int StrideH  = 2,
  parameter int StrideW  = 2
) (
  input  logic                     clk_i,
  input  logic                     rst_ni,  // synchronous, active low
  // the image in raster order
  input  logic                     valid_i,
  output logic                     ready_o,
  input  logic [Lanes*InBits-1:0]  data_i,
  // the smaller image
  output logic                     valid_o,
  input  logic                     ready_i,
  output logic [Lanes*AccBits-1:0] data_o
);

  pool #(
    .Height  (Height),
    .Width   (Width),
    .Channels(Channels),
    .Lanes   (Lanes),
    .InBits  (InBits),
    .InKind  (InKind),
    .OutBits (AccBits),
    .Sum     (1),
    .KernelH (KernelH),
    .KernelW (KernelW),
    .StrideH (StrideH),
    .StrideW (StrideW)
  ) u_pool (
    .clk_i  (clk_i),
    .rst_ni (rst_ni),
    .valid_i(valid_i),
    .ready_o(ready_o),
    .data_i (data_i),
    .valid_o(valid_o),
    .ready_i(ready_i),
    .data_o (data_o)
  );

endmodule
