// AXI4-Stream to image beats: gathers bus words, sees that every image is whole.
//
// Reference    docs/amd.md; hls/drivers/accelerator.py packs the words
// Latency      Words = 1: none; else 1 cycle from the last word of a beat
// Throughput   1 bus word per cycle, Words of them make a beat
// Stall        as the beats stall; hold_i keeps the first word of the next image outside
//
// TLAST may end any image and must not come inside one: then early_o says so and the image is
// completed with zeros, so that the next word is again the first of an image. TKEEP is not looked
// at: a bus word is a whole word.
module axi_input #(
  parameter int Bytes = 4,   // of a bus word
  parameter int Words = 1,   // bus words per beat, the first one in the low bits
  parameter int Beats = 4,   // per image
  parameter int Bits  = 32   // of a beat; what is above them in the last word is dropped
) (
  input  logic               clk_i,
  input  logic               rst_ni,   // synchronous, active low
  input  logic               hold_i,   // no image may begin
  // bus words
  input  logic               valid_i,
  output logic               ready_o,
  input  logic [8*Bytes-1:0] data_i,
  input  logic               last_i,
  // beats
  output logic               valid_o,
  input  logic               ready_i,
  output logic [Bits-1:0]    data_o,
  // what happened, for one cycle each
  output logic               begun_o,  // the first word of an image was taken
  output logic               early_o   // TLAST came inside an image
);

  localparam int ImageWords = Words * Beats;
  localparam int CountBits  = (ImageWords > 1) ? $clog2(ImageWords) : 1;

  initial if (Bits > 8 * Bytes * Words || Bits <= 8 * Bytes * (Words - 1)) begin
    $fatal(1, "%m: Bits=%0d do not need Words=%0d of Bytes=%0d", Bits, Words, Bytes);
  end

  logic [CountBits-1:0]     word_q;  // of the image: the next one to come
  logic                     fill_q;  // zeros instead of words, to the end of the image
  logic                     first, final_word, offered, room, take;
  logic [8*Bytes-1:0]       word;
  logic [8*Bytes*Words-1:0] beat;
  logic                     unused;

  assign first      = word_q == '0;
  assign final_word = word_q == CountBits'(ImageWords - 1);
  assign offered    = fill_q || (valid_i && !(hold_i && first));
  assign ready_o    = room && !fill_q && !(hold_i && first);
  assign take       = offered && room;
  assign word       = fill_q ? '0 : data_i;
  assign data_o     = beat[Bits-1:0];
  assign begun_o    = take && first;
  assign early_o    = take && !fill_q && last_i && !final_word;
  assign unused     = ^beat;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      word_q <= '0;
      fill_q <= 1'b0;
    end else if (take) begin
      word_q <= final_word ? '0 : word_q + 1'b1;
      fill_q <= (fill_q || last_i) && !final_word;
    end
  end

  width #(.InLanes(1), .OutLanes(Words), .Bits(8 * Bytes)) u_width (
    .clk_i,
    .rst_ni,
    .valid_i(offered),
    .ready_o(room),
    .data_i (word),
    .valid_o,
    .ready_i,
    .data_o (beat)
  );

endmodule
