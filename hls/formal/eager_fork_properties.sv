// eager_fork.sv: every word once to every consumer, in order.
module eager_fork_properties #(
  parameter int Outputs = 2,
  parameter int Bits    = 2
) (
  input logic               clk_i,
  input logic               rst_ni,
  input logic               valid_i,
  input logic [Bits-1:0]    data_i,
  input logic [Outputs-1:0] ready_i
);

  logic               ready;
  logic [Outputs-1:0] valid;
  logic [Bits-1:0]    data;
  logic [2:0]         in_index;

  eager_fork #(.Outputs(Outputs), .Bits(Bits)) dut (
    .clk_i(clk_i), .rst_ni(rst_ni), .valid_i(valid_i), .ready_o(ready), .data_i(data_i),
    .valid_o(valid), .ready_i(ready_i), .data_o(data)
  );

  start u_start (.clk_i(clk_i), .rst_ni(rst_ni));
  stream #(.Bits(Bits), .Assume(1)) u_in (
    .clk_i(clk_i), .rst_ni(rst_ni), .valid_i(valid_i), .ready_i(ready), .data_i(data_i)
  );
  place #(.Words(6)) u_in_place (
    .clk_i(clk_i), .rst_ni(rst_ni), .move_i(valid_i && ready), .index_o(in_index), .frame_o(),
    .last_o()
  );
  progress #(.Patience(0)) u_progress (
    .clk_i(clk_i), .rst_ni(rst_ni), .willing_i(valid_i && (&ready_i)),
    .moved_i(valid_i && ready)
  );

  for (genvar k = 0; k < Outputs; k++) begin : gen_output
    logic [2:0] index;
    stream #(.Bits(Bits)) u_out (
      .clk_i(clk_i), .rst_ni(rst_ni), .valid_i(valid[k]), .ready_i(ready_i[k]), .data_i(data)
    );
    place #(.Words(6)) u_place (
      .clk_i(clk_i), .rst_ni(rst_ni), .move_i(valid[k] && ready_i[k]), .index_o(index),
      .frame_o(), .last_o()
    );
    always_comb if (rst_ni) begin
      // what is offered is the word that the input offers, and it leaves once everyone had it
      if (valid[k]) assert (valid_i && index == in_index && data == data_i);
      if (valid_i && ready) assert (index != in_index || (valid[k] && ready_i[k]));
      // an output is one word ahead of the input at most, and only while that word waits
      assert (index == in_index || (valid_i && index == ((in_index == 3'd5) ? 3'd0 : in_index + 3'd1)));
    end
  end

endmodule
