// Margins of one value around an image.
//
// Reference    flow/ops/pad.py, bit-exact
// Latency      1 cycle
// Throughput   1 word out per cycle: (Height + Top + Bottom) * (Width + Left + Right) * Beats per frame
// Stall        ready_o is 1 only inside the image, and only while the output can move
//
// A frame's first margin waits for its first word: nothing leaves before there is a frame.
module pad #(
  parameter int Height   = 4,
  parameter int Width    = 4,
  parameter int Channels = 4,
  parameter int Lanes    = 2,  // elements per word, divides Channels
  parameter int Bits     = 8,  // per element
  parameter int Top      = 1,  // rows
  parameter int Bottom   = 1,
  parameter int Left     = 1,  // columns
  parameter int Right    = 1,
  parameter int Value    = 0   // code of the padding: its low Bits
) (
  input  logic                  clk_i,
  input  logic                  rst_ni,  // synchronous, active low
  // the image in raster order
  input  logic                  valid_i,
  output logic                  ready_o,
  input  logic [Lanes*Bits-1:0] data_i,
  // the larger image
  output logic                  valid_o,
  input  logic                  ready_i,
  output logic [Lanes*Bits-1:0] data_o
);

  localparam int Beats      = Channels / Lanes;  // words per pixel
  localparam int OutHeight  = Height + Top + Bottom;
  localparam int OutWidth   = Width + Left + Right;
  localparam int BeatBits   = (Beats > 1) ? $clog2(Beats) : 1;
  localparam int ColumnBits = $clog2(OutWidth + 1);
  localparam int RowBits    = $clog2(OutHeight + 1);

  initial if (Channels % Lanes != 0) begin
    $fatal(1, "%m: Lanes=%0d does not divide Channels=%0d", Lanes, Channels);
  end

  logic                  valid_q;
  logic [Lanes*Bits-1:0] data_q;
  logic [BeatBits-1:0]   beat_q;
  logic [ColumnBits-1:0] column_q;
  logic [RowBits-1:0]    row_q;
  logic                  advance, image, begun_q, step, pixel_last, column_last, row_last;

  // subtracted before compared, so that no comparison is always true: below the margin it wraps
  assign image = (row_q - RowBits'(Top)) < RowBits'(Height)
               && (column_q - ColumnBits'(Left)) < ColumnBits'(Width);

  assign advance     = !valid_q || ready_i;
  assign ready_o     = advance && image;
  assign step        = advance && (valid_i || (begun_q && !image));
  assign pixel_last  = step && beat_q == BeatBits'(Beats - 1);
  assign column_last = pixel_last && column_q == ColumnBits'(OutWidth - 1);
  assign row_last    = column_last && row_q == RowBits'(OutHeight - 1);

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      valid_q  <= 1'b0;
      begun_q  <= 1'b0;
      beat_q   <= '0;
      column_q <= '0;
      row_q    <= '0;
    end else begin
      if (advance) valid_q <= step;
      if (step) begun_q <= !row_last;
      if (step) beat_q <= pixel_last ? '0 : beat_q + 1'b1;
      if (pixel_last) column_q <= column_last ? '0 : column_q + 1'b1;
      if (column_last) row_q <= row_last ? '0 : row_q + 1'b1;
    end
  end

  always_ff @(posedge clk_i) if (step) data_q <= image ? data_i : {Lanes{Bits'(Value)}};

  assign valid_o = valid_q;
  assign data_o  = data_q;

endmodule
