// vote.sv: how often each class came, and the first of the most frequent, by definition.
module vote_properties #(
  parameter int Classes = 2,
  parameter int InBits = 1,
  parameter int Votes = 3
) (
  input logic              clk_i,
  input logic              rst_ni,
  input logic              valid_i,
  input logic [InBits-1:0] data_i,
  input logic              ready_i
);

  localparam int ClassBits = (Classes > 1) ? $clog2(Classes) : 1;
  localparam int CountBits = $clog2(Votes + 1);
  localparam int OutBits   = ClassBits + Classes*CountBits;

  logic                            ready, valid, in, out, in_last, out_last;
  logic [$clog2(Votes+1)-1:0]  in_index;
  logic [$clog2(1+1)-1:0] out_index;
  logic [1:0]                      in_frame, out_frame;
  (* anyconst *) logic [1:0]       frame;
  logic [OutBits-1:0]              data;

  always_comb assume (32'(data_i[InBits-1 -: ClassBits]) < Classes);

  vote #(
    .Classes(Classes), .InBits(InBits), .Votes(Votes)
  ) dut (
    .clk_i  (clk_i),
    .rst_ni (rst_ni),
    .valid_i(valid_i),
    .ready_o(ready),
    .data_i (data_i),
    .valid_o(valid),
    .ready_i(ready_i),
    .data_o (data)
  );

  ends #(
    .InBits(InBits), .OutBits(OutBits), .InWords(Votes), .OutWords(1),
    .FrameBits(2), .Patience(0)
  ) u_ends (
    .clk_i(clk_i), .rst_ni(rst_ni),
    .in_valid_i(valid_i), .in_ready_i(ready), .in_data_i(data_i),
    .out_valid_i(valid), .out_ready_i(ready_i), .out_data_i(data),
    .in_o(in), .in_index_o(in_index), .in_frame_o(in_frame), .in_last_o(in_last),
    .out_o(out), .out_index_o(out_index), .out_frame_o(out_frame), .out_last_o(out_last)
  );

  logic                         known_q;
  logic [Classes*CountBits-1:0] counts_q;
  logic [CountBits-1:0]         most;
  logic [ClassBits-1:0]         winner;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || (out && out_frame == frame)) known_q <= 1'b0;
    else if (in && in_last && in_frame == frame) known_q <= 1'b1;
    for (int c = 0; c < Classes; c++) begin
      if (in && in_frame == frame)
        counts_q[c*CountBits +: CountBits] <=
            ((in_index == '0) ? CountBits'(0) : counts_q[c*CountBits +: CountBits])
            + CountBits'(32'(data_i[InBits-1 -: ClassBits]) == c);
    end
  end
  always_comb begin
    winner = '0;
    most   = counts_q[CountBits-1:0];
    for (int c = 1; c < Classes; c++) begin
      if (counts_q[c*CountBits +: CountBits] > most) begin
        winner = ClassBits'(c);
        most   = counts_q[c*CountBits +: CountBits];
      end
    end
    if (rst_ni && valid && out_frame == frame) begin
      assert (known_q);
      assert (data == {winner, counts_q});
    end
  end

endmodule
