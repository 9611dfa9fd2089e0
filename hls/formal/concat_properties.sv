// concat.sv: per pixel the words of stream 0, then those of stream 1, each element extended.
module concat_properties #(
  parameter int Channels0 = 2,
  parameter int Channels1 = 1,
  parameter int Lanes     = 1,
  parameter int InBits0   = 1,
  parameter int InKind0   = 0,
  parameter int InBits1   = 1,
  parameter int InKind1   = 0,
  parameter int OutBits   = 1
) (
  input logic                               clk_i,
  input logic                               rst_ni,
  input logic [1:0]                         valid_i,
  input logic [Lanes*(InBits0+InBits1)-1:0] data_i,
  input logic                               ready_i
);

  localparam int Beats0 = Channels0 / Lanes;
  localparam int Beats1 = Channels1 / Lanes;

  logic [1:0]               ready;
  logic                     valid;
  logic [Lanes*OutBits-1:0] data, words0, words1;
  logic [Lanes*InBits0-1:0] data0;
  logic [Lanes*InBits1-1:0] data1;

  concat #(
    .Channels0(Channels0), .Channels1(Channels1), .Lanes(Lanes), .InBits0(InBits0),
    .InKind0(InKind0), .InBits1(InBits1), .InKind1(InKind1), .OutBits(OutBits)
  ) dut (
    .clk_i(clk_i), .rst_ni(rst_ni), .valid_i(valid_i), .ready_o(ready), .data_i(data_i),
    .valid_o(valid), .ready_i(ready_i), .data_o(data)
  );

  assign {data1, data0} = data_i;
  always_comb begin
    for (int lane = 0; lane < Lanes; lane++) begin
      words0[lane*OutBits +: OutBits] = (InKind0 == 1)
          ? OutBits'($signed(data0[lane*InBits0 +: InBits0])) : OutBits'(data0[lane*InBits0 +: InBits0]);
      words1[lane*OutBits +: OutBits] = (InKind1 == 1)
          ? OutBits'($signed(data1[lane*InBits1 +: InBits1])) : OutBits'(data1[lane*InBits1 +: InBits1]);
    end
  end

  start u_start (.clk_i(clk_i), .rst_ni(rst_ni));
  stream #(.Bits(Lanes*InBits0), .Assume(1)) u_in0 (
    .clk_i(clk_i), .rst_ni(rst_ni), .valid_i(valid_i[0]), .ready_i(ready[0]), .data_i(data0)
  );
  stream #(.Bits(Lanes*InBits1), .Assume(1)) u_in1 (
    .clk_i(clk_i), .rst_ni(rst_ni), .valid_i(valid_i[1]), .ready_i(ready[1]), .data_i(data1)
  );
  stream #(.Bits(Lanes*OutBits)) u_out (
    .clk_i(clk_i), .rst_ni(rst_ni), .valid_i(valid), .ready_i(ready_i), .data_i(data)
  );

  logic                              in0, in1, out, out_last;
  logic [$clog2(Beats0+1)-1:0]        index0;
  logic [$clog2(Beats1+1)-1:0]        index1;
  logic [$clog2(Beats0+Beats1+1)-1:0] out_index;
  logic [1:0]                        frame0, frame1, out_frame;
  assign in0 = valid_i[0] && ready[0];
  assign in1 = valid_i[1] && ready[1];
  assign out = valid && ready_i;
  place #(.Words(Beats0)) u_place0 (
    .clk_i(clk_i), .rst_ni(rst_ni), .move_i(in0), .index_o(index0), .frame_o(frame0), .last_o()
  );
  place #(.Words(Beats1)) u_place1 (
    .clk_i(clk_i), .rst_ni(rst_ni), .move_i(in1), .index_o(index1), .frame_o(frame1), .last_o()
  );
  place #(.Words(Beats0 + Beats1)) u_out_place (
    .clk_i(clk_i), .rst_ni(rst_ni), .move_i(out), .index_o(out_index), .frame_o(out_frame),
    .last_o(out_last)
  );
  progress #(.Patience(0)) u_progress (
    .clk_i(clk_i), .rst_ni(rst_ni), .willing_i((&valid_i) && ready_i), .moved_i(in0 || in1 || out)
  );

  (* anyconst *) logic [$clog2(Beats0+Beats1+1)-1:0] index;
  (* anyconst *) logic [1:0]                         frame;
  logic                                              first;
  assign first = 32'(index) < Beats0;
  tracked #(.Bits(Lanes*OutBits)) u_tracked (
    .clk_i(clk_i), .rst_ni(rst_ni),
    .arrive_i(first ? in0 && frame0 == frame && 32'(index0) == 32'(index)
                    : in1 && frame1 == frame && 32'(index1) == 32'(index) - Beats0),
    .word_i(first ? words0 : words1),
    .offered_i(valid && out_index == index && out_frame == frame), .offer_i(data),
    .leave_i(out && out_last && out_frame == frame)
  );

endmodule
