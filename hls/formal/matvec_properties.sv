// matvec.sv: every row's product, by definition, any weights.
module matvec_properties #(
  parameter int Rows = 2,
  parameter int Columns = 2,
  parameter int Pe = 1,
  parameter int Simd = 1,
  parameter int InBits = 1,
  parameter int InKind = 2,
  parameter int WeightBits = 1,
  parameter int WeightKind = 2,
  parameter int AccBits = 2,
  parameter int Popcount = 1,
  parameter int Groups = 1
) (
  input logic                   clk_i,
  input logic                   rst_ni,
  input logic                   valid_i,
  input logic [Simd*InBits-1:0] data_i,
  input logic                   ready_i
);

  localparam int Inputs   = Groups * Columns;
  localparam int Words    = Rows / Pe * (Columns / Simd);
  localparam int WordBits = Pe * Simd * WeightBits;
  logic [Words*WordBits-1:0] image;
  logic                      cfg_write;
  logic [15:0]               cfg_address;
  logic [WordBits-1:0]       cfg_word;
  loading #(.Words(Words), .WordBits(WordBits)) u_loading (
    .clk_i(clk_i), .rst_ni(rst_ni), .valid_i(valid_i), .write_o(cfg_write),
    .address_o(cfg_address), .word_o(cfg_word), .image_o(image)
  );

  localparam int InWord = Simd*InBits, OutWord = Pe*AccBits;
  localparam int InWords = Inputs/Simd, OutWords = Rows/Pe;
  localparam int FrameBits = 3, Patience = 8;
  `include "ends.svh"

  matvec #(
    .Rows(Rows), .Columns(Columns), .Pe(Pe), .Simd(Simd), .InBits(InBits), .InKind(InKind),
    .WeightBits(WeightBits), .WeightKind(WeightKind), .AccBits(AccBits), .Popcount(Popcount),
    .Groups(Groups)
  ) dut (
    .clk_i(clk_i), .rst_ni(rst_ni), .valid_i(valid_i), .ready_o(ready), .data_i(data_i),
    .valid_o(valid), .ready_i(ready_i), .data_o(data), .cfg_valid_i(cfg_write), .cfg_write_i(1'b1),
    .cfg_memory_i(8'd0), .cfg_address_i(cfg_address), .cfg_data_i(cfg_word),
    .cfg_chain_i({WordBits{1'b0}}), .cfg_chain_o(), .detected_o()
  );

  // the tracked vector, then each row's product by definition
  logic [Inputs*InBits-1:0] x_q;
  always_ff @(posedge clk_i) begin
    if (mine) x_q[in_index*Simd*InBits +: Simd*InBits] <= data_i;
  end
  for (genvar fold = 0; fold < Rows / Pe; fold++) begin : gen_fold
    for (genvar pe = 0; pe < Pe; pe++) begin : gen_pe
      logic [Columns*InBits-1:0]     codes;
      logic [Columns*WeightBits-1:0] weights;
      logic signed [31:0]            sum;
      for (genvar c = 0; c < Columns; c++) begin : gen_column
        localparam int Code   = fold / (Rows / Pe / Groups) * Columns + c;
        localparam int Weight = ((fold * (Columns / Simd) + c / Simd) * Pe + pe) * Simd + c % Simd;
        assign codes[c*InBits +: InBits]           = x_q[Code*InBits +: InBits];
        assign weights[c*WeightBits +: WeightBits] = image[Weight*WeightBits +: WeightBits];
      end
      product #(
        .Terms(Columns), .InBits(InBits), .InKind(InKind), .WeightBits(WeightBits),
        .WeightKind(WeightKind), .Popcount(Popcount)
      ) u_product (.codes_i(codes), .weights_i(weights), .sum_o(sum));
      always_comb begin
        if (asked && 32'(out_index) == fold) begin
          assert (data[pe*AccBits +: AccBits] == AccBits'(sum));
        end
      end
    end
  end

endmodule
