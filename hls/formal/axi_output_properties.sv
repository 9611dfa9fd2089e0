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
  localparam int InWord = ClassBits+Classes*LogitBits, OutWord = 1+8*Bytes;
  localparam int InWords = 1, OutWords = Words;
  localparam int FrameBits = 2, Patience = 1;
  `include "ends.svh"
  logic [8*Bytes-1:0] word;
  logic               last, done;
  assign data = {last, word};

  axi_output #(
    .Classes(Classes), .ClassBits(ClassBits), .LogitBits(LogitBits), .LogitSigned(LogitSigned),
    .Bytes(Bytes), .ElementBytes(ElementBytes)
  ) dut (
    .clk_i(clk_i), .rst_ni(rst_ni), .packet_i(32'd2), .valid_i(valid_i), .ready_o(ready),
    .data_i(data_i), .valid_o(valid), .ready_i(ready_i), .data_o(word), .last_o(last), .done_o(done)
  );

  logic [ClassBits+Classes*LogitBits-1:0] seen_q;
  logic [8*Bytes*Words-1:0]               wanted;

  arrived u_arrived (
    .clk_i(clk_i), .rst_ni(rst_ni), .whole_i(mine), .asked_i(asked), .leave_i(gone)
  );
  always_ff @(posedge clk_i) if (mine) seen_q <= data_i;
  always_comb begin
    wanted = '0;
    wanted[8*ElementBytes-1:0] = (8*ElementBytes)'(seen_q[Classes*LogitBits +: ClassBits]);
    for (int c = 0; c < Classes; c++)
      wanted[(c+1)*8*ElementBytes +: 8*ElementBytes] = (LogitSigned != 0)
          ? (8*ElementBytes)'($signed(seen_q[c*LogitBits +: LogitBits]))
          : (8*ElementBytes)'(seen_q[c*LogitBits +: LogitBits]);
    if (rst_ni) assert (done == (out && out_last));
    if (rst_ni && valid) assert (last == (out_last && out_frame[0]));
    if (asked) assert (word == wanted[out_index*8*Bytes +: 8*Bytes]);
  end

endmodule
