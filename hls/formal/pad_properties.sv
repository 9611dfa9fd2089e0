// pad.sv: the image in the middle, the value around it.
module pad_properties #(
  parameter int Height = 2,
  parameter int Width = 2,
  parameter int Channels = 2,
  parameter int Lanes = 1,
  parameter int Bits = 2,
  parameter int Top = 1,
  parameter int Bottom = 1,
  parameter int Left = 1,
  parameter int Right = 1,
  parameter int Value = 2
) (
  input logic                  clk_i,
  input logic                  rst_ni,
  input logic                  valid_i,
  input logic [Lanes*Bits-1:0] data_i,
  input logic                  ready_i
);

  localparam int Beats     = Channels / Lanes;
  localparam int OutHeight = Height + Top + Bottom;
  localparam int OutWidth  = Width + Left + Right;
  localparam int InWord = Lanes*Bits, OutWord = Lanes*Bits;
  localparam int InWords = Height*Width*Beats, OutWords = OutHeight*OutWidth*Beats;
  localparam int FrameBits = 2, Patience = 1;
  `include "ends.svh"

  pad #(
    .Height(Height), .Width(Width), .Channels(Channels), .Lanes(Lanes), .Bits(Bits), .Top(Top),
    .Bottom(Bottom), .Left(Left), .Right(Right), .Value(Value)
  ) dut (
    .clk_i(clk_i), .rst_ni(rst_ni), .valid_i(valid_i), .ready_o(ready), .data_i(data_i),
    .valid_o(valid), .ready_i(ready_i), .data_o(data)
  );

  logic [$clog2(OutWidth*Beats+1)-1:0] across;
  logic [$clog2(OutHeight+1)-1:0]      row;
  logic                                row_last, image;
  place #(.Words(OutWidth*Beats)) u_across (
    .clk_i(clk_i), .rst_ni(rst_ni), .move_i(out), .index_o(across), .frame_o(), .last_o(row_last)
  );
  place #(.Words(OutHeight)) u_row (
    .clk_i(clk_i), .rst_ni(rst_ni), .move_i(out && row_last), .index_o(row), .frame_o(), .last_o()
  );
  assign image = 32'(row) >= Top && 32'(row) < Top + Height
              && 32'(across) >= Left * Beats && 32'(across) < (Left + Width) * Beats;
  always_comb if (rst_ni && valid && !image) assert (data == {Lanes{Bits'(Value)}});

  (* anyconst *) logic [$clog2(Height*Width*Beats+1)-1:0] index;
  tracked #(.Bits(Lanes*Bits)) u_tracked (
    .clk_i(clk_i), .rst_ni(rst_ni),
    .arrive_i(mine && in_index == index), .word_i(data_i),
    .offered_i(asked && image
               && (32'(row) - Top) * Width * Beats + 32'(across) - Left * Beats == 32'(index)),
    .offer_i(data), .leave_i(gone)
  );

endmodule
