// argmax.sv: the logits as they came and the first of the largest, by definition.
module argmax_properties #(
  parameter int Classes = 4,
  parameter int Lanes = 2,
  parameter int LogitBits = 2,
  parameter int LogitSigned = 1
) (
  input logic              clk_i,
  input logic              rst_ni,
  input logic              valid_i,
  input logic [Lanes*LogitBits-1:0] data_i,
  input logic              ready_i
);

  localparam int ClassBits = (Classes > 1) ? $clog2(Classes) : 1;

  logic                          ready, valid, in, out, in_last, out_last;
  logic [ClassBits+Classes*LogitBits-1:0]             data;
  logic [$clog2(Classes/Lanes+1)-1:0]     in_index;
  logic [$clog2(1+1)-1:0]    out_index;
  logic [2-1:0]                    in_frame, out_frame;
  (* anyconst *) logic [2-1:0]     frame;

  argmax #(
    .Classes(Classes),
    .Lanes(Lanes),
    .LogitBits(LogitBits),
    .LogitSigned(LogitSigned)
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
    .InBits(Lanes*LogitBits), .OutBits(ClassBits+Classes*LogitBits), .InWords(Classes/Lanes), .OutWords(1), .FrameBits(2),
    .Patience(0)
  ) u_ends (
    .clk_i(clk_i), .rst_ni(rst_ni),
    .in_valid_i(valid_i), .in_ready_i(ready), .in_data_i(data_i),
    .out_valid_i(valid), .out_ready_i(ready_i), .out_data_i(data),
    .in_o(in), .in_index_o(in_index), .in_frame_o(in_frame), .in_last_o(in_last),
    .out_o(out), .out_index_o(out_index), .out_frame_o(out_frame), .out_last_o(out_last)
  );

  logic                         known_q;
  logic [Classes*LogitBits-1:0] logits_q;
  logic [ClassBits-1:0]         class_w;
  logic [LogitBits-1:0]         best, logit;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || (out && out_frame == frame)) known_q <= 1'b0;
    else if (in && in_last && in_frame == frame) known_q <= 1'b1;
    if (in && in_frame == frame) logits_q[in_index*Lanes*LogitBits +: Lanes*LogitBits] <= data_i;
  end
  always_comb begin
    class_w = '0;
    best    = logits_q[LogitBits-1:0];
    for (int c = 1; c < Classes; c++) begin
      logit = logits_q[c*LogitBits +: LogitBits];
      if ((LogitSigned != 0) ? $signed(logit) > $signed(best) : logit > best) begin
        class_w = ClassBits'(c);
        best    = logit;
      end
    end
    if (rst_ni && valid && out_frame == frame) begin
      assert (known_q);
      assert (data == {class_w, logits_q});
    end
  end

endmodule
