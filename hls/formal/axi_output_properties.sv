// axi_output.sv: every element of every result, TLAST on the last word of every second one.
module axi_output_properties #(
  parameter int Classes = 2,
  parameter int ClassBits = 2,
  parameter int LogitBits = 2,
  parameter int LogitSigned = 1,
  parameter int Bytes = 1,
  parameter int ElementBytes = 1
) (
  input logic                                   clk_i,
  input logic                                   rst_ni,
  input logic                                   valid_i,
  input logic [ClassBits+Classes*LogitBits-1:0] data_i,
  input logic                                   ready_i
);

  localparam int Words = ((1 + Classes) * ElementBytes + Bytes - 1) / Bytes;

  logic                            ready, valid, in, out, in_last, out_last;
  logic [$clog2(1+1)-1:0]  in_index;
  logic [$clog2(Words+1)-1:0] out_index;
  logic [1:0]                      in_frame, out_frame;
  (* anyconst *) logic [1:0]       frame;
  logic [8*Bytes-1:0]              data;
  logic                            last, done;

  axi_output #(
    .Classes(Classes), .ClassBits(ClassBits), .LogitBits(LogitBits), .LogitSigned(LogitSigned),
    .Bytes(Bytes), .ElementBytes(ElementBytes)
  ) dut (
    .clk_i   (clk_i),
    .rst_ni  (rst_ni),
    .packet_i(32'd2),
    .valid_i (valid_i),
    .ready_o (ready),
    .data_i  (data_i),
    .valid_o (valid),
    .ready_i (ready_i),
    .data_o  (data),
    .last_o  (last),
    .done_o  (done)
  );

  ends #(
    .InBits(ClassBits+Classes*LogitBits), .OutBits(1+8*Bytes), .InWords(1), .OutWords(Words),
    .FrameBits(2), .Patience(1)
  ) u_ends (
    .clk_i(clk_i), .rst_ni(rst_ni),
    .in_valid_i(valid_i), .in_ready_i(ready), .in_data_i(data_i),
    .out_valid_i(valid), .out_ready_i(ready_i), .out_data_i({last, data}),
    .in_o(in), .in_index_o(in_index), .in_frame_o(in_frame), .in_last_o(in_last),
    .out_o(out), .out_index_o(out_index), .out_frame_o(out_frame), .out_last_o(out_last)
  );

  logic                                   known_q;
  logic [ClassBits+Classes*LogitBits-1:0] seen_q;
  logic [8*Bytes*Words-1:0]               wanted;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || (out && out_last && out_frame == frame)) known_q <= 1'b0;
    else if (in && in_frame == frame) known_q <= 1'b1;
    if (in && in_frame == frame) seen_q <= data_i;
  end
  always_comb begin
    wanted = '0;
    wanted[8*ElementBytes-1:0] = (8*ElementBytes)'(seen_q[Classes*LogitBits +: ClassBits]);
    for (int c = 0; c < Classes; c++)
      wanted[(c+1)*8*ElementBytes +: 8*ElementBytes] = (LogitSigned != 0)
          ? (8*ElementBytes)'($signed(seen_q[c*LogitBits +: LogitBits]))
          : (8*ElementBytes)'(seen_q[c*LogitBits +: LogitBits]);
    if (rst_ni) assert (done == (out && out_last));
    if (rst_ni && valid) assert (last == (out_last && out_frame[0]));
    if (rst_ni && valid && out_frame == frame) begin
      assert (known_q);
      assert (data == wanted[out_index*8*Bytes +: 8*Bytes]);
    end
  end

endmodule
