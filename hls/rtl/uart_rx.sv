// Serial receiver, 8N1, least significant bit first: one pulse per byte.
//
// Reference    docs/uart-protocol.md
// Latency      valid_o rises Divider/2 + 9*Divider + 3 cycles after the start edge at the pin
// Throughput   one byte per 10 bit times
// Stall        none: data_o holds until the next byte, but valid_o lasts one cycle
//
// The pin is synchronised by two flip-flops and each bit is sampled once, in its middle. A start
// bit that is gone by its middle is taken for a glitch. A stop bit read as 0 is a framing error:
// error_o pulses instead of valid_o, and the next byte is awaited only after the line is 1 again.
// It does not detect the baud rate and does not vote over several samples.
module uart_rx #(
  parameter int Divider = 25  // clock cycles per bit, at least 8
) (
  input  logic       clk_i,
  input  logic       rst_ni,   // synchronous, active low
  input  logic       rx_i,     // the pin, asynchronous, 1 when idle
  output logic       valid_o,  // one cycle: data_o is a new byte
  output logic [7:0] data_o,
  output logic       error_o,  // one cycle: a byte without its stop bit was dropped
  output logic       line_o    // the synchronised line, for silence detection
);

  localparam int CountBits = $clog2(Divider);

  initial if (Divider < 8) begin
    $fatal(1, "%m: Divider=%0d leaves no room to sample mid-bit; use at least 8", Divider);
  end

  localparam logic [1:0] Idle  = 2'd0;  // waits for a falling edge
  localparam logic [1:0] Start = 2'd1;  // to the middle of the start bit
  localparam logic [1:0] Bits  = 2'd2;  // eight data bits, then the stop bit
  localparam logic [1:0] Break = 2'd3;  // after a framing error, until the line is 1

  logic                 meta_q, line_q;
  logic [1:0]           state_q;
  logic [CountBits-1:0] count_q;        // cycles to the next sample
  logic [3:0]           bit_q;          // data bits taken
  logic [7:0]           data_q;
  logic                 valid_q, error_q;
  logic                 sample;

  assign valid_o = valid_q;
  assign data_o  = data_q;
  assign error_o = error_q;
  assign line_o  = line_q;
  assign sample  = count_q == '0;

  always_ff @(posedge clk_i) begin
    meta_q <= rx_i;
    line_q <= meta_q;
  end

  always_ff @(posedge clk_i) begin
    valid_q <= 1'b0;
    error_q <= 1'b0;
    count_q <= sample ? CountBits'(Divider - 1) : count_q - 1'b1;
    unique case (state_q)
      Idle: begin
        count_q <= CountBits'(Divider / 2 - 1);
        bit_q   <= '0;
        if (!line_q) state_q <= Start;
      end
      Start: if (sample) state_q <= line_q ? Idle : Bits;
      Bits: if (sample) begin
        bit_q <= bit_q + 1'b1;
        if (bit_q == 4'd8) begin
          valid_q <= line_q;
          error_q <= !line_q;
          state_q <= line_q ? Idle : Break;
        end else begin
          data_q <= {line_q, data_q[7:1]};
        end
      end
      default: if (line_q) state_q <= Idle;
    endcase
    if (!rst_ni) begin
      state_q <= Break;
      valid_q <= 1'b0;
      error_q <= 1'b0;
    end
  end

endmodule
