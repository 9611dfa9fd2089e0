// add.sv: every weighted sum, by definition; a word from every stream or from none.
module add_properties #(
  parameter int Inputs         = 2,
  parameter int Channels       = 1,
  parameter int Lanes          = 1,
  parameter int InBits0        = 2,
  parameter int InKind0        = 0,
  parameter int InBits1        = 2,
  parameter int InKind1        = 1,
  parameter int MultiplierBits = 2,
  parameter int OffsetBits     = 2,
  parameter int AccBits        = 4
) (
  input logic                                          clk_i,
  input logic                                          rst_ni,
  input logic [Inputs-1:0]                             valid_i,
  input logic [Lanes*(InBits0+(Inputs-1)*InBits1)-1:0] data_i,
  input logic                                          ready_i
);

  localparam int Folds    = Channels / Lanes;
  localparam int DataBits = Lanes * (InBits0 + (Inputs - 1) * InBits1);
  localparam int LaneBits = Inputs * MultiplierBits + OffsetBits;
  localparam int WordBits = Lanes * LaneBits;
  // the words of add.hex, the first in the low bits
  localparam logic [23:0] Words = {6'h1b, 6'h2d, 6'h37, 6'h2b};

  logic [Inputs-1:0]        ready;
  logic                     valid;
  logic [Lanes*AccBits-1:0] data;

  add #(
    .Inputs(Inputs), .Channels(Channels), .Lanes(Lanes), .InBits0(InBits0), .InKind0(InKind0),
    .InBits1(InBits1), .InKind1(InKind1), .MultiplierBits(MultiplierBits),
    .OffsetBits(OffsetBits), .AccBits(AccBits), .Constants(Words[WordBits-1:0]), .File("add.hex")
  ) dut (
    .clk_i(clk_i), .rst_ni(rst_ni), .valid_i(valid_i), .ready_o(ready), .data_i(data_i),
    .valid_o(valid), .ready_i(ready_i), .data_o(data)
  );

  start u_start (.clk_i(clk_i), .rst_ni(rst_ni));
  for (genvar k = 0; k < Inputs; k++) begin : gen_in
    localparam int Bits = Lanes * ((k == 0) ? InBits0 : InBits1);
    stream #(.Bits(Bits), .Assume(1)) u_in (
      .clk_i(clk_i), .rst_ni(rst_ni), .valid_i(valid_i[k]), .ready_i(ready[k]),
      .data_i(data_i[k*Lanes*InBits0 +: Bits])
    );
  end
  stream #(.Bits(Lanes*AccBits)) u_out (
    .clk_i(clk_i), .rst_ni(rst_ni), .valid_i(valid), .ready_i(ready_i), .data_i(data)
  );

  logic                       in, out;
  logic [$clog2(Folds+1)-1:0] in_index, out_index;
  logic [1:0]                 in_frame, out_frame;
  assign in  = |(valid_i & ready);
  assign out = valid && ready_i;
  always_comb if (in) assert (&(valid_i & ready));
  place #(.Words(Folds)) u_in_place (
    .clk_i(clk_i), .rst_ni(rst_ni), .move_i(in), .index_o(in_index), .frame_o(in_frame), .last_o()
  );
  place #(.Words(Folds)) u_out_place (
    .clk_i(clk_i), .rst_ni(rst_ni), .move_i(out), .index_o(out_index), .frame_o(out_frame),
    .last_o()
  );
  progress #(.Patience(0)) u_progress (
    .clk_i(clk_i), .rst_ni(rst_ni), .willing_i((&valid_i) && ready_i), .moved_i(in || out)
  );

  // one word of each stream, and their sums in integers
  (* anyconst *) logic [$clog2(Folds+1)-1:0] index;
  (* anyconst *) logic [1:0]                 frame;
  logic                     here, known_q;
  logic [DataBits-1:0]      x_q;
  logic [LaneBits-1:0]      stored;
  logic [InBits0-1:0]       code0;
  logic [InBits1-1:0]       code1;
  logic signed [31:0]       x0, x1, sum;
  assign here = valid && out_index == index && out_frame == frame;
  always_ff @(posedge clk_i) begin
    if (!rst_ni || (here && ready_i)) known_q <= 1'b0;
    else if (in && in_index == index && in_frame == frame) known_q <= 1'b1;
    if (in && in_index == index && in_frame == frame) x_q <= data_i;
  end
  always_comb begin
    code1 = '0;
    for (int lane = 0; lane < Lanes; lane++) begin
      stored = Words[32'(index)*WordBits + lane*LaneBits +: LaneBits];
      code0  = x_q[lane*InBits0 +: InBits0];
      if (Inputs == 2) code1 = x_q[Lanes*InBits0*(Inputs-1) + lane*InBits1 +: InBits1];
      x0     = (InKind0 == 2) ? (code0[0] ? 32'sd1 : -32'sd1)
             : (InKind0 == 1) ? 32'($signed(code0)) : 32'(code0);
      x1     = (InKind1 == 2) ? (code1[0] ? 32'sd1 : -32'sd1)
             : (InKind1 == 1) ? 32'($signed(code1)) : 32'(code1);
      sum    = x0 * 32'($signed(stored[MultiplierBits-1:0]))
             + 32'($signed(stored[LaneBits-1 -: OffsetBits]));
      if (Inputs == 2) sum = sum + x1 * 32'($signed(stored[(Inputs-1)*MultiplierBits +: MultiplierBits]));
      if (rst_ni && here) begin
        assert (known_q);
        assert (data[lane*AccBits +: AccBits] == AccBits'(sum));
      end
    end
  end

endmodule
