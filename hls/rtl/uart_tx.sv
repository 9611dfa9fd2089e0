// Serial transmitter, 8N1, least significant bit first.
//
// Reference    docs/uart-protocol.md
// Latency      the start bit appears at tx_o one cycle after the byte is taken
// Throughput   one byte per 10*Divider cycles, without a gap while bytes are offered
// Stall        ready_o is 1 in the last cycle of the stop bit and while idle
//
// It has no buffer and no flow control: the peer must be able to take every byte.
module uart_tx #(
  parameter int Divider = 25  // clock cycles per bit, at least 2
) (
  input  logic       clk_i,
  input  logic       rst_ni,   // synchronous, active low
  input  logic       valid_i,
  output logic       ready_o,
  input  logic [7:0] data_i,
  output logic       tx_o      // the pin, 1 when idle and before the first reset
);

  localparam int CountBits = $clog2(Divider);

  initial if (Divider < 2) $fatal(1, "%m: Divider=%0d; use at least 2", Divider);

  logic [8:0]           shift_q;           // what follows the bit on the line: data, then stop
  logic [3:0]           bits_q;            // bits whose time is not over, the one on the line too
  logic [CountBits-1:0] count_q;           // cycles the bit on the line still lasts, less one
  logic                 tx_q;
  logic                 ready_q;           // said a cycle ahead: what hears it is wide and far
  logic                 tick, take;

  initial tx_q = 1'b1;  // a 0 after power-up would be read as a start bit

  assign tx_o    = tx_q;
  assign tick    = count_q == '0;
  assign ready_o = ready_q;
  assign take    = valid_i && ready_q;

  always_ff @(posedge clk_i) begin
    count_q <= count_q - 1'b1;
    ready_q <= !take && (bits_q == '0 || (bits_q == 4'd1 && (tick || count_q == CountBits'(1))));
    if (take) begin
      shift_q <= {1'b1, data_i};
      tx_q    <= 1'b0;
      bits_q  <= 4'd10;
      count_q <= CountBits'(Divider - 1);
    end else if (tick && bits_q != '0) begin
      shift_q <= {1'b1, shift_q[8:1]};
      tx_q    <= shift_q[0];
      bits_q  <= bits_q - 1'b1;
      count_q <= CountBits'(Divider - 1);
    end
    if (!rst_ni) begin
      tx_q    <= 1'b1;
      bits_q  <= '0;
      ready_q <= 1'b1;
    end
  end

endmodule
