// Results to AXI4-Stream: class and logits as little-endian integers, TLAST behind each packet.
//
// Reference    docs/amd.md; hls/drivers/accelerator.py reads the words
// Latency      1 cycle (none if a result fits one bus word)
// Throughput   1 bus word per cycle, ceil((1 + Classes) * ElementBytes / Bytes) of them per result
// Stall        a result must have left before the next one is taken
//
// A result is the class and then the logits, ElementBytes each, zeros behind them to whole words.
// packet_i must not change between the first word of a packet and its last.
module axi_output #(
  parameter int Classes      = 4,
  parameter int ClassBits    = 2,
  parameter int LogitBits    = 9,    // at most 8 * ElementBytes
  parameter int LogitSigned  = 1,
  parameter int Bytes        = 4,    // of a bus word
  parameter int ElementBytes = 2     // of the class, and of each logit
) (
  input  logic                                   clk_i,
  input  logic                                   rst_ni,    // synchronous, active low
  input  logic [31:0]                            packet_i,  // results per packet, at least 1
  // {class, logits}, logit 0 in the low bits
  input  logic                                   valid_i,
  output logic                                   ready_o,
  input  logic [ClassBits+Classes*LogitBits-1:0] data_i,
  // bus words
  output logic                                   valid_o,
  input  logic                                   ready_i,
  output logic [8*Bytes-1:0]                     data_o,
  output logic                                   last_o,
  // the last word of a result was taken, for one cycle
  output logic                                   done_o
);

  localparam int Element   = 8 * ElementBytes;
  localparam int Words     = ((1 + Classes) * ElementBytes + Bytes - 1) / Bytes;
  localparam int CountBits = (Words > 1) ? $clog2(Words) : 1;
  localparam int Wide      = 8 * Bytes * Words;

  initial if (LogitBits > Element || ClassBits > Element) begin
    $fatal(1, "%m: LogitBits=%0d or ClassBits=%0d above ElementBytes=%0d", LogitBits, ClassBits,
           ElementBytes);
  end

  logic [Wide-1:0]               result;
  logic [(1+Classes)*Element-1:0] elements;
  logic [CountBits-1:0]          word_q;    // of the result: the next one to leave
  logic [31:0]                   result_q;  // of the packet: the one that is leaving
  logic                          final_word, final_result;

  assign elements[Element-1:0] = Element'(data_i[Classes*LogitBits +: ClassBits]);
  for (genvar c = 0; c < Classes; c++) begin : gen_logit
    logic [LogitBits-1:0] logit;
    assign logit = data_i[c*LogitBits +: LogitBits];
    if (LogitSigned != 0) begin : gen_signed
      assign elements[(c+1)*Element +: Element] = Element'($signed(logit));
    end else begin : gen_unsigned
      assign elements[(c+1)*Element +: Element] = Element'(logit);
    end
  end
  assign result = Wide'(elements);

  assign final_word   = word_q == CountBits'(Words - 1);
  assign final_result = result_q >= packet_i - 1'b1;
  assign last_o       = final_word && final_result;
  assign done_o       = valid_o && ready_i && final_word;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      word_q   <= '0;
      result_q <= '0;
    end else if (valid_o && ready_i) begin
      word_q <= final_word ? '0 : word_q + 1'b1;
      if (final_word) result_q <= final_result ? '0 : result_q + 1'b1;
    end
  end

  width #(.InLanes(Words), .OutLanes(1), .Bits(8 * Bytes)) u_width (
    .clk_i,
    .rst_ni,
    .valid_i,
    .ready_o,
    .data_i (result),
    .valid_o,
    .ready_i,
    .data_o
  );

endmodule
