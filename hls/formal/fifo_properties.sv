// fifo.sv: a queue, its count, its high-water mark, exactly.
module fifo_properties #(
  parameter int Depth = 4,
  parameter int Bits  = 2,
  parameter int Form  = 0
) (
  input logic            clk_i,
  input logic            rst_ni,
  input logic            valid_i,
  input logic [Bits-1:0] data_i,
  input logic            ready_i
);

  localparam int CountBits = $clog2(Depth + 1);

  logic                 ready, valid, in, out;
  logic [Bits-1:0]      data;
  logic [CountBits-1:0] high_water, in_index, out_index;
  logic [1:0]           in_frame, out_frame;
  logic                 in_last, out_last;

  fifo #(.Depth(Depth), .Bits(Bits), .Form(Form)) dut (
    .clk_i(clk_i), .rst_ni(rst_ni), .valid_i(valid_i), .ready_o(ready), .data_i(data_i),
    .valid_o(valid), .ready_i(ready_i), .data_o(data), .high_water_o(high_water)
  );

  assign in  = valid_i && ready;
  assign out = valid && ready_i;

  start u_start (.clk_i(clk_i), .rst_ni(rst_ni));
  stream #(.Bits(Bits), .Assume(1)) u_in (
    .clk_i(clk_i), .rst_ni(rst_ni), .valid_i(valid_i), .ready_i(ready), .data_i(data_i)
  );
  stream #(.Bits(Bits)) u_out (
    .clk_i(clk_i), .rst_ni(rst_ni), .valid_i(valid), .ready_i(ready_i), .data_i(data)
  );
  place #(.Words(Depth)) u_in_place (
    .clk_i(clk_i), .rst_ni(rst_ni), .move_i(in), .index_o(in_index), .frame_o(in_frame),
    .last_o(in_last)
  );
  place #(.Words(Depth)) u_out_place (
    .clk_i(clk_i), .rst_ni(rst_ni), .move_i(out), .index_o(out_index), .frame_o(out_frame),
    .last_o(out_last)
  );

  (* anyconst *) logic [CountBits-1:0] index;
  (* anyconst *) logic [1:0]           frame;
  tracked #(.Bits(Bits)) u_tracked (
    .clk_i(clk_i), .rst_ni(rst_ni),
    .arrive_i(in && in_index == index && in_frame == frame), .word_i(data_i),
    .offered_i(valid && out_index == index && out_frame == frame), .offer_i(data),
    .leave_i(out && out_last && out_frame == frame)
  );
  progress #(.Patience(0)) u_progress (
    .clk_i(clk_i), .rst_ni(rst_ni), .willing_i(valid_i && ready_i), .moved_i(in || out)
  );

  // the number of words inside, and the most there ever were
  logic [CountBits-1:0] inside_q, most_q;
  always_ff @(posedge clk_i) begin
    inside_q <= rst_ni ? inside_q + CountBits'(in) - CountBits'(out) : '0;
    if (!rst_ni)                 most_q <= '0;
    else if (most_q < inside_q)  most_q <= inside_q;
  end
  always_comb if (rst_ni) begin
    assert (inside_q <= CountBits'(Depth));
    assert (ready == (inside_q < CountBits'(Depth)));
    assert (valid == (inside_q != '0));
    assert (high_water == ((most_q < inside_q) ? inside_q : most_q));
  end

endmodule
