// crop.sv: a word is kept if and only if some window holds its pixel.
module crop_properties #(
  parameter int Height  = 6,
  parameter int Width   = 6,
  parameter int Beats   = 2,
  parameter int SpanH   = 2,
  parameter int SpanW   = 2,
  parameter int StrideH = 3,
  parameter int StrideW = 2
) (
  input logic clk_i,
  input logic rst_ni,
  input logic step_i
);

  logic       keep, needed, beat_last, column_last;
  logic [7:0] row, column;

  crop #(
    .Height(Height), .Width(Width), .Beats(Beats), .SpanH(SpanH), .SpanW(SpanW),
    .StrideH(StrideH), .StrideW(StrideW)
  ) dut (.clk_i(clk_i), .rst_ni(rst_ni), .step_i(step_i), .keep_o(keep));

  start u_start (.clk_i(clk_i), .rst_ni(rst_ni));
  place #(.Words(Beats)) u_beat (
    .clk_i(clk_i), .rst_ni(rst_ni), .move_i(step_i), .index_o(), .frame_o(), .last_o(beat_last)
  );
  place #(.Words(Width)) u_column (
    .clk_i(clk_i), .rst_ni(rst_ni), .move_i(step_i && beat_last),
    .index_o(column[$clog2(Width+1)-1:0]), .frame_o(), .last_o(column_last)
  );
  place #(.Words(Height)) u_row (
    .clk_i(clk_i), .rst_ni(rst_ni), .move_i(step_i && beat_last && column_last),
    .index_o(row[$clog2(Height+1)-1:0]), .frame_o(), .last_o()
  );
  assign column[7:$clog2(Width+1)] = '0;
  assign row[7:$clog2(Height+1)]   = '0;

  always_comb begin
    needed = 1'b0;
    for (int y = 0; y + SpanH <= Height; y = y + StrideH) begin
      for (int x = 0; x + SpanW <= Width; x = x + StrideW) begin
        if (row >= 8'(y) && row < 8'(y + SpanH) && column >= 8'(x) && column < 8'(x + SpanW)) begin
          needed = 1'b1;
        end
      end
    end
    if (rst_ni) assert (keep == needed);
  end

endmodule
