// axi_input.sv: every bus word of images whose TLAST comes at their end or not at all.
module axi_input_properties #(
  parameter int Bytes = 1,
  parameter int Words = 2,
  parameter int Beats = 2,
  parameter int Bits = 12
) (
  input logic               clk_i,
  input logic               rst_ni,
  input logic               valid_i,
  input logic [8*Bytes-1:0] data_i,
  input logic               last_i,
  input logic               ready_i
);

  localparam int InWord = 8*Bytes, OutWord = Bits;
  localparam int InWords = Words*Beats, OutWords = Beats;
  localparam int FrameBits = 2, Patience = 1;
  `include "ends.svh"
  logic begun, early;

  always_comb assume (!last_i || in_last);

  axi_input #(
    .Bytes(Bytes), .Words(Words), .Beats(Beats), .Bits(Bits)
  ) dut (
    .clk_i(clk_i), .rst_ni(rst_ni), .hold_i(1'b0), .valid_i(valid_i), .ready_o(ready),
    .data_i(data_i), .last_i(last_i), .valid_o(valid), .ready_i(ready_i), .data_o(data),
    .begun_o(begun), .early_o(early)
  );

  // one beat of one image, gathered by definition
  (* anyconst *) logic [$clog2(Beats+1)-1:0] index;
  logic [8*Bytes*Words-1:0] beat, beat_q;
  logic [7:0]               word;
  logic                     here, known, known_q;

  assign word = 8'(in_index) - 8'(index) * 8'(Words);
  assign here = in_frame == frame && 8'(in_index) >= 8'(index) * 8'(Words) && word < 8'(Words);
  always_comb begin
    beat = beat_q;
    if (in && here) beat[word*8*Bytes +: 8*Bytes] = data_i;
  end
  // a beat of one word passes in the cycle in which it comes
  assign known = known_q || (Words == 1 && valid_i && here);

  always_ff @(posedge clk_i) begin
    if (!rst_ni || (asked && ready_i && out_index == index)) known_q <= 1'b0;
    else if (in && here && word == 8'(Words - 1)) known_q <= 1'b1;
    beat_q <= beat;
  end
  always_comb begin
    if (rst_ni) begin
      assert (!early);
      assert (begun == (in && in_index == '0));
    end
    if (asked && out_index == index) begin
      assert (known);
      assert (data == ((Words == 1) ? data_i[Bits-1:0] : beat_q[Bits-1:0]));
    end
  end

endmodule
