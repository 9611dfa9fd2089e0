// Sliding windows of an image, read from a buffer of about two windows' extent.
//
// Reference    flow/ops/window.py, bit-exact
// Latency      ((SpanH - 1) * Width + SpanW) * Beats + 1 cycles, Span = (Kernel - 1) * Dilation + 1
// Throughput   max(Height * Width, positions * KernelH * KernelW) * Beats cycles per frame
// Stall        ready_o is 0 only while the buffer is full and the word offered belongs into it
//
// Each position leaves as KernelH * KernelW * Beats words in order (group, kh, kw, channel of the
// group). Rows and columns that no window needs are dropped at the input, so that kept words follow
// each other like those of a smaller image, frame after frame. A window is read once all of its
// pixels are inside. Two extents let the windows at the end of a frame be read while the first ones
// of the next arrive; the spare rows make up for the time that dropped rows take.
module window #(
  parameter int Height    = 6,
  parameter int Width     = 6,
  parameter int Channels  = 4,
  parameter int Lanes     = 2,  // elements per word, divides Channels / Groups
  parameter int Bits      = 8,  // per element
  parameter int KernelH   = 3,
  parameter int KernelW   = 3,
  parameter int StrideH   = 1,
  parameter int StrideW   = 1,
  parameter int DilationH = 1,
  parameter int DilationW = 1,
  parameter int Groups    = 1   // of channels, one after the other in each window
) (
  input  logic                  clk_i,
  input  logic                  rst_ni,  // synchronous, active low
  // the image in raster order
  input  logic                  valid_i,
  output logic                  ready_o,
  input  logic [Lanes*Bits-1:0] data_i,
  // its windows
  output logic                  valid_o,
  input  logic                  ready_i,
  output logic [Lanes*Bits-1:0] data_o
);

  localparam int Beats      = Channels / Lanes;  // words per pixel
  localparam int GroupBeats = Beats / Groups;
  localparam int SpanH      = (KernelH - 1) * DilationH + 1;
  localparam int SpanW      = (KernelW - 1) * DilationW + 1;
  localparam int OutHeight  = (Height - SpanH) / StrideH + 1;
  localparam int OutWidth   = (Width - SpanW) / StrideW + 1;

  // the image of kept pixels
  localparam int KeptStrideH = (StrideH < SpanH) ? StrideH : SpanH;
  localparam int KeptStrideW = (StrideW < SpanW) ? StrideW : SpanW;
  localparam int KeptWidth   = (OutWidth - 1) * KeptStrideW + SpanW;
  localparam int SurplusRows = Height - (OutHeight - 1) * StrideH - SpanH;
  localparam int Apart       = StrideH - SpanH + 1;
  localparam int Worst       = (SurplusRows > Apart) ? SurplusRows : Apart;
  localparam int SpareRows   = ((StrideH >= SpanH && StrideW >= SpanW) || Worst < 0) ? 0 : Worst;
  localparam int Extent      = ((SpanH - 1) * KeptWidth + SpanW) * Beats;
  localparam int Depth       = 2 * Extent + SpareRows * KeptWidth * Beats;

  // how far the read address moves: within a window, and from its first word to the next one's
  localparam int TapStep      = DilationW * Beats - (GroupBeats - 1);
  localparam int TapRowStep   = (DilationH * KeptWidth - (KernelW - 1) * DilationW) * Beats
                              - (GroupBeats - 1);
  localparam int GroupStep    = 1 - (Extent - Beats);
  localparam int ColumnStride = KeptStrideW * Beats;
  localparam int RowStride    = (KeptStrideH * KeptWidth - (OutWidth - 1) * KeptStrideW) * Beats;
  localparam int ColumnStep   = ColumnStride - (Extent - 1);
  localparam int RowStep      = RowStride - (Extent - 1);

  localparam int AddressBits = $clog2(Depth);
  localparam int HeldBits    = $clog2(Depth + 1);
  localparam int BeatBits    = (GroupBeats > 1) ? $clog2(GroupBeats) : 1;
  localparam int TapWBits    = (KernelW > 1) ? $clog2(KernelW) : 1;
  localparam int TapHBits    = (KernelH > 1) ? $clog2(KernelH) : 1;
  localparam int GroupBits   = (Groups > 1) ? $clog2(Groups) : 1;
  localparam int ColumnBits  = (OutWidth > 1) ? $clog2(OutWidth) : 1;
  localparam int RowBits     = (OutHeight > 1) ? $clog2(OutHeight) : 1;

  initial if (Channels % Lanes != 0 || Beats % Groups != 0) begin
    $fatal(1, "%m: Lanes=%0d and Groups=%0d must divide Channels=%0d, and Lanes a group", Lanes,
           Groups, Channels);
  end
  initial if (SpanH > Height || SpanW > Width) begin
    $fatal(1, "%m: a window of %0d x %0d does not fit into %0d x %0d", SpanH, SpanW, Height, Width);
  end

  // steps as additions below Depth
  function automatic int ahead(input int step);
    ahead = ((step % Depth) + Depth) % Depth;
  endfunction

  logic valid_q, advance, write, read, window_last;

  // writing: a kept word goes to the next place
  logic                   keep;
  logic [AddressBits-1:0] write_q;
  logic [HeldBits-1:0]    held_q, leaving;  // words from the window's first to the newest

  crop #(
    .Height (Height),
    .Width  (Width),
    .Beats  (Beats),
    .SpanH  (SpanH),
    .SpanW  (SpanW),
    .StrideH(StrideH),
    .StrideW(StrideW)
  ) u_crop (
    .clk_i (clk_i),
    .rst_ni(rst_ni),
    .step_i(valid_i && ready_o),
    .keep_o(keep)
  );

  assign ready_o = !keep || held_q != HeldBits'(Depth);
  assign write   = valid_i && ready_o && keep;

  // reading
  logic [BeatBits-1:0]    beat_q;
  logic [TapWBits-1:0]    tap_w_q;
  logic [TapHBits-1:0]    tap_h_q;
  logic [GroupBits-1:0]   group_q;
  logic [ColumnBits-1:0]  column_q;
  logic [RowBits-1:0]     row_q;
  logic                   beat_last, tap_w_last, tap_h_last, group_last, column_last, row_last;
  logic [AddressBits-1:0] read_q, step;
  logic [AddressBits:0]   moved;

  assign advance     = !valid_q || ready_i;
  assign read        = advance && held_q >= HeldBits'(Extent);
  assign beat_last   = beat_q == BeatBits'(GroupBeats - 1);
  assign tap_w_last  = beat_last && tap_w_q == TapWBits'(KernelW - 1);
  assign tap_h_last  = tap_w_last && tap_h_q == TapHBits'(KernelH - 1);
  assign group_last  = tap_h_last && group_q == GroupBits'(Groups - 1);
  assign column_last = column_q == ColumnBits'(OutWidth - 1);
  assign row_last    = row_q == RowBits'(OutHeight - 1);
  assign window_last = read && group_last;

  always_comb begin
    leaving = HeldBits'(ColumnStride);
    step    = AddressBits'(ahead(ColumnStep));
    if (column_last) begin
      leaving = HeldBits'(RowStride);
      step    = AddressBits'(ahead(RowStep));
    end
    if (column_last && row_last) begin  // the next frame begins behind this window's last pixel
      leaving = HeldBits'(Extent);
      step    = AddressBits'(ahead(1));
    end
    if (!group_last) step = AddressBits'(ahead(GroupStep));
    if (!tap_h_last) step = AddressBits'(ahead(TapRowStep));
    if (!tap_w_last) step = AddressBits'(ahead(TapStep));
    if (!beat_last)  step = AddressBits'(ahead(1));
  end

  assign moved = {1'b0, read_q} + {1'b0, step};

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      write_q  <= '0;
      held_q   <= '0;
      read_q   <= '0;
      beat_q   <= '0;
      tap_w_q  <= '0;
      tap_h_q  <= '0;
      group_q  <= '0;
      column_q <= '0;
      row_q    <= '0;
      valid_q  <= 1'b0;
    end else begin
      if (write) write_q <= (write_q == AddressBits'(Depth - 1)) ? '0 : write_q + 1'b1;
      held_q <= held_q + HeldBits'(write) - (window_last ? leaving : '0);
      if (advance) valid_q <= read;
      if (read) begin
        read_q <= AddressBits'((moved >= (AddressBits + 1)'(Depth)) ? moved - (AddressBits + 1)'(Depth)
                                                                    : moved);
        beat_q <= beat_last ? '0 : beat_q + 1'b1;
        if (beat_last) tap_w_q <= tap_w_last ? '0 : tap_w_q + 1'b1;
        if (tap_w_last) tap_h_q <= tap_h_last ? '0 : tap_h_q + 1'b1;
        if (tap_h_last) group_q <= group_last ? '0 : group_q + 1'b1;
      end
      if (window_last) begin
        column_q <= column_last ? '0 : column_q + 1'b1;
        if (column_last) row_q <= row_last ? '0 : row_q + 1'b1;
      end
    end
  end

  // one port writes, one reads, and never the same word at once: the reader's words are held
  (* no_rw_check *)
  logic [Lanes*Bits-1:0] words [Depth];
  logic [Lanes*Bits-1:0] data_q;

  always_ff @(posedge clk_i) if (write) words[write_q] <= data_i;
  always_ff @(posedge clk_i) if (read) data_q <= words[read_q];

  assign valid_o = valid_q;
  assign data_o  = data_q;

endmodule
