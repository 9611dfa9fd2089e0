// Says of each word of an image whether any sliding window needs its pixel.
//
// Reference    flow/ops/window.py: what lies between windows or behind the last is never read
// Latency      0: keep_o speaks about the word that moves with step_i
// Throughput   1 word per cycle
// Stall        none: it counts the words that move
module crop #(
  parameter int Height  = 6,
  parameter int Width   = 6,
  parameter int Beats   = 2,  // words per pixel
  parameter int SpanH   = 2,  // pixels from a window's first to its last
  parameter int SpanW   = 2,
  parameter int StrideH = 3,
  parameter int StrideW = 2
) (
  input  logic clk_i,
  input  logic rst_ni,  // synchronous, active low
  input  logic step_i,  // a word moves
  output logic keep_o
);

  localparam int UsedHeight = (Height - SpanH) / StrideH * StrideH + SpanH;
  localparam int UsedWidth  = (Width - SpanW) / StrideW * StrideW + SpanW;

  if (UsedHeight == Height && UsedWidth == Width && StrideH <= SpanH && StrideW <= SpanW)
  begin : gen_all
    logic unused;
    assign unused = ^{clk_i, rst_ni, step_i};
    assign keep_o = 1'b1;
  end else begin : gen_count
    localparam int BeatBits   = (Beats > 1) ? $clog2(Beats) : 1;
    localparam int ColumnBits = $clog2(Width + 1);
    localparam int RowBits    = $clog2(Height + 1);
    localparam int PhaseWBits = $clog2(StrideW + 1);
    localparam int PhaseHBits = $clog2(StrideH + 1);

    logic [BeatBits-1:0]   beat_q;
    logic [ColumnBits-1:0] column_q;
    logic [RowBits-1:0]    row_q;
    logic [PhaseWBits-1:0] phase_w_q;  // column and row modulo the stride
    logic [PhaseHBits-1:0] phase_h_q;
    logic                  keep_w, keep_h, pixel_last, row_last, frame_last;

    assign pixel_last = step_i && beat_q == BeatBits'(Beats - 1);
    assign row_last   = pixel_last && column_q == ColumnBits'(Width - 1);
    assign frame_last = row_last && row_q == RowBits'(Height - 1);
    assign keep_w = column_q < ColumnBits'(UsedWidth)
                 && (StrideW <= SpanW || phase_w_q < PhaseWBits'(SpanW));
    assign keep_h = row_q < RowBits'(UsedHeight)
                 && (StrideH <= SpanH || phase_h_q < PhaseHBits'(SpanH));
    assign keep_o = keep_w && keep_h;

    always_ff @(posedge clk_i) begin
      if (step_i) beat_q <= pixel_last ? '0 : beat_q + 1'b1;
      if (pixel_last) begin
        column_q  <= column_q + 1'b1;
        phase_w_q <= (phase_w_q == PhaseWBits'(StrideW - 1)) ? '0 : phase_w_q + 1'b1;
      end
      if (row_last) begin
        column_q  <= '0;
        phase_w_q <= '0;
        row_q     <= row_q + 1'b1;
        phase_h_q <= (phase_h_q == PhaseHBits'(StrideH - 1)) ? '0 : phase_h_q + 1'b1;
      end
      if (frame_last) begin
        row_q     <= '0;
        phase_h_q <= '0;
      end
      if (!rst_ni) begin
        beat_q    <= '0;
        column_q  <= '0;
        phase_w_q <= '0;
        row_q     <= '0;
        phase_h_q <= '0;
      end
    end
  end

endmodule
