// Any contents of a unit's memories, written through the configuration port after each reset.
//
// Until the last word is written, nothing is offered to the unit.
module loading #(
  parameter int Words    = 4,
  parameter int WordBits = 8
) (
  input  logic                      clk_i,
  input  logic                      rst_ni,
  input  logic                      valid_i,    // what is offered to the unit
  output logic                      write_o,
  output logic [15:0]               address_o,
  output logic [WordBits-1:0]       word_o,
  output logic [Words*WordBits-1:0] image_o     // all words, the first in the low bits
);

  localparam int CountBits = $clog2(Words + 1);

  (* anyconst *) logic [Words*WordBits-1:0] image;
  logic [CountBits-1:0] count_q;

  assign image_o   = image;
  assign write_o   = count_q != CountBits'(Words);
  assign address_o = 16'(count_q);
  assign word_o    = image[count_q*WordBits +: WordBits];

  always_ff @(posedge clk_i) begin
    if (!rst_ni)      count_q <= '0;
    else if (write_o) count_q <= count_q + 1'b1;
  end
  always_comb assume (!(write_o && valid_i));

endmodule
