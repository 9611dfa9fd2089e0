// argmax.sv: the logits as they came and the first of the largest, by definition.
module argmax_properties #(
  parameter int Classes = 4,
  parameter int Lanes = 2,
  parameter int LogitBits = 2,
  parameter int LogitSigned = 1
) (
  input logic                       clk_i,
  input logic                       rst_ni,
  input logic                       valid_i,
  input logic [Lanes*LogitBits-1:0] data_i,
  input logic                       ready_i
);

  localparam int ClassBits = (Classes > 1) ? $clog2(Classes) : 1;
  localparam int InWord = Lanes*LogitBits, OutWord = ClassBits+Classes*LogitBits;
  localparam int InWords = Classes/Lanes, OutWords = 1;
  localparam int FrameBits = 2, Patience = 0;
  `include "ends.svh"

  argmax #(
    .Classes(Classes), .Lanes(Lanes), .LogitBits(LogitBits), .LogitSigned(LogitSigned)
  ) dut (
    .clk_i(clk_i), .rst_ni(rst_ni), .valid_i(valid_i), .ready_o(ready), .data_i(data_i),
    .valid_o(valid), .ready_i(ready_i), .data_o(data)
  );

  logic [Classes*LogitBits-1:0] logits_q;
  logic [ClassBits-1:0]         class_w;
  logic [LogitBits-1:0]         best, logit;

  arrived u_arrived (
    .clk_i(clk_i), .rst_ni(rst_ni), .whole_i(mine && in_last), .asked_i(asked), .leave_i(gone)
  );
  always_ff @(posedge clk_i) begin
    if (mine) logits_q[in_index*Lanes*LogitBits +: Lanes*LogitBits] <= data_i;
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
    if (asked) assert (data == {class_w, logits_q});
  end

endmodule
