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
  input logic              clk_i,
  input logic              rst_ni,
  input logic              valid_i,
  input logic [Simd*InBits-1:0] data_i,
  input logic              ready_i
);

  localparam int Inputs   = Groups * Columns;
  localparam int Words    = Rows / Pe * (Columns / Simd);
  localparam int WordBits = Pe * Simd * WeightBits;
  // any contents, written through the configuration port after each reset
  (* anyconst *) logic [Words*WordBits-1:0] image;
  logic [$clog2(Words+1)-1:0] load_q;
  logic                       loaded;
  assign loaded = load_q == ($clog2(Words + 1))'(Words);
  always_ff @(posedge clk_i) begin
    if (!rst_ni)      load_q <= '0;
    else if (!loaded) load_q <= load_q + 1'b1;
  end

  logic                          ready, valid, in, out, in_last, out_last;
  logic [Pe*AccBits-1:0]             data;
  logic [$clog2(Inputs/Simd+1)-1:0]     in_index;
  logic [$clog2(Rows/Pe+1)-1:0]    out_index;
  logic [3-1:0]                    in_frame, out_frame;
  (* anyconst *) logic [3-1:0]     frame;

  matvec #(
    .Rows(Rows),
    .Columns(Columns),
    .Pe(Pe),
    .Simd(Simd),
    .InBits(InBits),
    .InKind(InKind),
    .WeightBits(WeightBits),
    .WeightKind(WeightKind),
    .AccBits(AccBits),
    .Popcount(Popcount),
    .Groups(Groups)
  ) dut (
    .clk_i  (clk_i),
    .rst_ni (rst_ni),
    .valid_i(valid_i && loaded),
    .ready_o(ready),
    .data_i (data_i),
    .valid_o(valid),
    .ready_i(ready_i),
    .data_o (data),
    .cfg_valid_i  (!loaded),
    .cfg_write_i  (1'b1),
    .cfg_memory_i (8'd0),
    .cfg_address_i(16'(load_q)),
    .cfg_data_i   (image[load_q*WordBits +: WordBits]),
    .cfg_chain_i  ({WordBits{1'b0}}),
    .cfg_chain_o  (),
    .detected_o   ()
  );

  ends #(
    .InBits(Simd*InBits), .OutBits(Pe*AccBits), .InWords(Inputs/Simd), .OutWords(Rows/Pe), .FrameBits(3),
    .Patience(8)
  ) u_ends (
    .clk_i(clk_i), .rst_ni(rst_ni),
    .in_valid_i(valid_i && loaded), .in_ready_i(ready), .in_data_i(data_i),
    .out_valid_i(valid), .out_ready_i(ready_i), .out_data_i(data),
    .in_o(in), .in_index_o(in_index), .in_frame_o(in_frame), .in_last_o(in_last),
    .out_o(out), .out_index_o(out_index), .out_frame_o(out_frame), .out_last_o(out_last)
  );

  // the tracked vector, then each row's product by definition
  logic [Inputs*InBits-1:0]  x_q;
  logic [InBits-1:0]         code;
  logic [WeightBits-1:0]     weight;
  logic signed [31:0]        value, sum;
  always_ff @(posedge clk_i) begin
    if (in && in_frame == frame) x_q[in_index*Simd*InBits +: Simd*InBits] <= data_i;
  end
  always_comb begin
    for (int fold = 0; fold < Rows / Pe; fold++) begin
      for (int pe = 0; pe < Pe; pe++) begin
        sum = '0;
        for (int c = 0; c < Columns; c++) begin
          code   = x_q[(fold / (Rows / Pe / Groups) * Columns + c)*InBits +: InBits];
          weight = image[((fold * (Columns / Simd) + c / Simd) * Pe * Simd + pe * Simd + c % Simd)*WeightBits +: WeightBits];
          value  = (InKind == 2) ? (code[0] ? 32'sd1 : -32'sd1)
                 : (InKind == 1) ? 32'($signed(code)) : 32'(code);
          if (Popcount != 0) sum = sum + ((code == weight) ? 32'sd1 : 32'sd0);
          else if (WeightKind == 2) sum = weight[0] ? sum + value : sum - value;
          else sum = sum + value * 32'($signed(weight));
        end
        if (rst_ni && valid && out_frame == frame && 32'(out_index) == fold) begin
          assert (data[pe*AccBits +: AccBits] == AccBits'(sum));
        end
      end
    end
  end

endmodule
