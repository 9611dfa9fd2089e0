// Two bridges of different sizes and the power-on reset, so that one build holds them all.
//
// Reference    sim/bench/uart_bench.py
// Latency      of uart_echo
// Throughput   of uart_echo
// Stall        of uart_echo
module uart_harness (
  input  logic        clk_i,
  input  logic        rst_ni,  // synchronous, active low
  // power-on reset of 2**3 cycles; it resets nothing here
  input  logic        button_i,
  output logic        released_o,
  // small: signed logits of 2 bytes, words that end within a byte
  input  logic        small_rx_i,
  output logic        small_tx_o,
  output logic [7:0]  small_led_o,
  output logic [31:0] small_cycles_o,
  output logic [15:0] small_beats_o,
  output logic [15:0] small_accesses_o,
  output logic [31:0] small_address_o,
  output logic        small_breach_o,
  // large: the board's baud rate, one beat per image, unsigned logits of 4 bytes, widest places
  input  logic        large_rx_i,
  output logic        large_tx_o,
  output logic [7:0]  large_led_o,
  output logic [31:0] large_cycles_o,
  output logic [15:0] large_beats_o,
  output logic [15:0] large_accesses_o,
  output logic [31:0] large_address_o,
  output logic        large_breach_o
);

  power_on_reset #(.CountBits(3)) u_reset (.clk_i, .button_i, .rst_no(released_o));

  uart_echo #(
    .Divider(8), .Elements(6), .Lanes(2), .InBits(5), .Classes(3), .LogitBits(9),
    .LogitSigned(1'b1), .CfgBits(20), .Memories(2), .Delay(40)
  ) u_small (
    .clk_i, .rst_ni, .rx_i(small_rx_i), .tx_o(small_tx_o), .led_o(small_led_o),
    .cycles_o(small_cycles_o), .beats_o(small_beats_o), .accesses_o(small_accesses_o),
    .address_o(small_address_o),    .breach_o(small_breach_o)
  );

  uart_echo #(
    .Divider(25), .Elements(5), .Lanes(5), .InBits(1), .Classes(10), .LogitBits(17),
    .LogitSigned(1'b0), .CfgBits(200), .Memories(258),
    .CfgMemoryBits(9), .CfgAddressBits(32), .Parity(1'b1), .Delay(0)
  ) u_large (
    .clk_i, .rst_ni, .rx_i(large_rx_i), .tx_o(large_tx_o), .led_o(large_led_o),
    .cycles_o(large_cycles_o), .beats_o(large_beats_o), .accesses_o(large_accesses_o),
    .address_o(large_address_o),    .breach_o(large_breach_o)
  );

endmodule
