// Pooling: the largest value or the sum of each window, one row of partial results.
//
// Reference    flow/ops/pool.py, bit-exact; maxpool.sv and sumpool.sv give it its parameters
// Latency      2 cycles after the last word of a window has arrived, or has left u_window
// Throughput   windows apart: Height * Width * Beats cycles per frame; else as window.sv
// Stall        ready_o falls only while a result waits on ready_i, or as in window.sv
//
// Windows that share no pixel are accumulated as the image passes: OutWidth * Beats partial results
// are held, never an image. Others come out of window.sv one channel group after the other, and one
// partial result is held beside its buffer. Sum = 0 keeps the largest value (of bipolar codes this
// is OR), Sum = 1 adds and wraps.
module pool #(
  parameter int Height    = 4,
  parameter int Width     = 4,
  parameter int Channels  = 4,
  parameter int Lanes     = 2,   // elements per word, divides Channels
  parameter int InBits    = 8,   // per element
  parameter int InKind    = 0,   // 0 unsigned, 1 signed, 2 bipolar (bit 0 is -1)
  parameter int OutBits   = 8,   // InBits with Sum = 0
  parameter int Sum       = 0,
  parameter int KernelH   = 2,
  parameter int KernelW   = 2,
  parameter int StrideH   = 2,
  parameter int StrideW   = 2,
  parameter int DilationH = 1,
  parameter int DilationW = 1
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
  output logic [Lanes*OutBits-1:0] data_o
);

  localparam int Beats     = Channels / Lanes;
  localparam int SpanH     = (KernelH - 1) * DilationH + 1;
  localparam int SpanW     = (KernelW - 1) * DilationW + 1;
  localparam int OutHeight = (Height - SpanH) / StrideH + 1;
  localparam int OutWidth  = (Width - SpanW) / StrideW + 1;
  localparam bit Apart     = SpanH == KernelH && (StrideH >= KernelH || OutHeight == 1)
                          && SpanW == KernelW && (StrideW >= KernelW || OutWidth == 1);

  // the words that windows hold, as rows of TapsW * Columns pixels: apart, those of the image
  localparam int TapsH   = Apart ? KernelH : 1;
  localparam int TapsW   = Apart ? KernelW : KernelH * KernelW;
  localparam int Columns = Apart ? OutWidth : 1;
  localparam int Words   = Columns * (Apart ? Beats : 1);  // partial results
  localparam int Last    = Apart ? Beats - 1 : 0;          // word of a pixel

  localparam int AddressBits = (Words > 1) ? $clog2(Words) : 1;
  localparam int BeatBits    = (Last > 0) ? $clog2(Last + 1) : 1;
  localparam int TapHBits    = (TapsH > 1) ? $clog2(TapsH) : 1;
  localparam int TapWBits    = (TapsW > 1) ? $clog2(TapsW) : 1;

  initial if (Channels % Lanes != 0) begin
    $fatal(1, "%m: Lanes=%0d does not divide Channels=%0d", Lanes, Channels);
  end

  logic                    advance, take;
  logic [Lanes*InBits-1:0] x;

  if (Apart) begin : gen_apart
    logic keep;
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
      .step_i(valid_i && advance),
      .keep_o(keep)
    );
    assign take    = valid_i && advance && keep;
    assign ready_o = advance;
    assign x       = data_i;
  end else begin : gen_window
    logic window_valid;
    window #(
      .Height   (Height),
      .Width    (Width),
      .Channels (Channels),
      .Lanes    (Lanes),
      .Bits     (InBits),
      .KernelH  (KernelH),
      .KernelW  (KernelW),
      .StrideH  (StrideH),
      .StrideW  (StrideW),
      .DilationH(DilationH),
      .DilationW(DilationW),
      .Groups   (Beats)
    ) u_window (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .valid_i(valid_i),
      .ready_o(ready_o),
      .data_i (data_i),
      .valid_o(window_valid),
      .ready_i(advance),
      .data_o (x)
    );
    assign take = window_valid && advance;
  end

  // stage 0: the word's place in its window, and the partial result of that window
  logic [AddressBits-1:0] address_q;
  logic [BeatBits-1:0]    beat_q;
  logic [TapWBits-1:0]    tap_w_q;
  logic [TapHBits-1:0]    tap_h_q;
  logic                   beat_last, tap_w_last, tap_h_last, row_last;

  assign beat_last  = beat_q == BeatBits'(Last);
  assign tap_w_last = tap_w_q == TapWBits'(TapsW - 1);
  assign tap_h_last = tap_h_q == TapHBits'(TapsH - 1);
  assign row_last   = tap_w_last && address_q == AddressBits'(Words - 1);

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      address_q <= '0;
      beat_q    <= '0;
      tap_w_q   <= '0;
      tap_h_q   <= '0;
    end else if (take) begin
      beat_q    <= beat_last ? '0 : beat_q + 1'b1;
      address_q <= (beat_last && !tap_w_last) ? address_q - AddressBits'(Last)
                                              : row_last ? '0 : address_q + 1'b1;
      if (beat_last) tap_w_q <= tap_w_last ? '0 : tap_w_q + 1'b1;
      if (row_last) tap_h_q <= tap_h_last ? '0 : tap_h_q + 1'b1;
    end
  end

  // stage 1: the word joins its partial result, which is also the output register
  logic                     x_valid_q, first_q, last_q, again_q, valid_q;
  logic [AddressBits-1:0]   x_address_q;
  logic [Lanes*InBits-1:0]  x_q;
  logic [Lanes*OutBits-1:0] read_q, partial, data_d, data_q;

  // a partial result that is read while it is written is taken from data_q instead
  (* no_rw_check *)
  logic [Lanes*OutBits-1:0] words [Words];

  always_ff @(posedge clk_i) if (advance && x_valid_q) words[x_address_q] <= data_d;
  always_ff @(posedge clk_i) if (take) read_q <= words[address_q];

  assign partial = again_q ? data_q : read_q;

  for (genvar lane = 0; lane < Lanes; lane++) begin : gen_lane
    logic [InBits-1:0]  code;
    logic [OutBits-1:0] known, value;
    assign code  = x_q[lane*InBits +: InBits];
    assign known = partial[lane*OutBits +: OutBits];
    if (Sum != 0) begin : gen_sum
      assign value = (InKind == 2) ? OutBits'($signed({!code[0], 1'b1}))
                   : (InKind == 1) ? OutBits'($signed(code)) : OutBits'(code);
      assign data_d[lane*OutBits +: OutBits] = first_q ? value : known + value;
    end else begin : gen_max
      logic greater;
      assign value   = OutBits'(code);
      assign greater = (InKind == 1) ? $signed(value) > $signed(known) : value > known;
      assign data_d[lane*OutBits +: OutBits] = (first_q || greater) ? value : known;
    end
  end

  assign advance = !valid_q || ready_i;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      x_valid_q <= 1'b0;
      valid_q   <= 1'b0;
    end else if (advance) begin
      x_valid_q <= take;
      valid_q   <= x_valid_q && last_q;
    end
  end

  always_ff @(posedge clk_i) begin
    if (take) begin
      x_q         <= x;
      x_address_q <= address_q;
      first_q     <= tap_w_q == '0 && tap_h_q == '0;
      last_q      <= tap_w_last && tap_h_last;
      again_q     <= x_valid_q && x_address_q == address_q;
    end
    if (advance && x_valid_q) data_q <= data_d;
  end

  assign valid_o = valid_q;
  assign data_o  = data_q;

endmodule
